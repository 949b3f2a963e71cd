"""Run quantized models in fp16 throughout, as runtimes do whose kernels know floats alone.

TensorFlow Lite's GPU delegate widens the weights once, when it takes the model in, and keeps activations as floats
(TensorFlow's guide to the delegate, "How does this work?" under quantized models). Its steps that clamp to the bounds
seen in training are taken to run within the kernels that make the values.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph
from hwsim.graph.tensor import scheme
from hwsim.operators.dequantize_linear import DequantizeLinear
from hwsim.operators.quantize_linear import QuantizeLinear
from hwsim.passes.registry import PASSES

__all__ = ["float_view"]


@PASSES.register("float_view")
def float_view(graph: Graph) -> Graph:
    """The graph with what its scheme keeps in integers in fp16; one that quantizes by operators of its own stays."""
    chosen = graph.scheme
    if chosen is None or any(isinstance(node.op, QuantizeLinear | DequantizeLinear) for node in graph.nodes):
        return graph
    narrow = {name for name in (chosen.weight, chosen.activation) if name.startswith("int")}
    if not narrow:
        return graph
    tensors = {
        name: replace(t, type=replace(t.type, format="fp16")) if t.type.format in narrow else t
        for name, t in graph.tensors.items()
    }
    return replace(graph, tensors=tensors, scheme=scheme("fp16"))
