"""How products run whose weights are stored in fewer bits than they are multiplied with.

Two passes a stack may name, in this order. ``dequantize`` widens the weights by a kernel of its own in front of every
product of many rows, and a library multiplies (llama.cpp on CUDA since 2023: cuBLAS above 64 rows, ggml-cuda.cu,
MMQ_MAX_BATCH_SIZE). ``quantized_products`` gives what is left to kernels that read packed weights and widen them in
registers.
"""

from __future__ import annotations

import math

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import BITS
from hwsim.operators.cast import Cast
from hwsim.operators.linear import Linear
from hwsim.operators.quantized_linear import QuantizedLinear
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, with_operators

__all__ = ["dequantize", "quantized_products"]

_MOST_ROWS = 64
"""Rows up to which kernels read packed weights themselves (llama.cpp: MMQ_MAX_BATCH_SIZE)."""


def _is_packed(graph: Graph, node: Node) -> bool:
    """Whether a linear layer has integer weights of fewer bits than its activations."""
    if type(node.op) is not Linear:
        return False
    x, weight = (graph.tensors[name].type for name in node.inputs[:2])
    return weight.format.startswith("int") and BITS[weight.format] < BITS.get(x.format, 16)


@PASSES.register("dequantize")
def dequantize(graph: Graph) -> Graph:
    """The graph with packed weights widened before each product of more than 64 rows."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            x = graph.tensors[node.inputs[0]]
            if _is_packed(graph, node) and math.prod(x.shape[:-1]) > _MOST_ROWS:
                weight = new.tensors[node.inputs[1]]
                wide = new.add(Cast(x.type.format), [weight], f"{node.name}.dequantized", node)
                new.keep(node, {weight.name: wide.name})
            else:
                new.keep(node)
    return new.finish()


@PASSES.register("quantized_products")
def quantized_products(graph: Graph) -> Graph:
    """The graph with every product of packed weights as a kernel of its own."""
    return with_operators(graph, lambda node: QuantizedLinear() if _is_packed(graph, node) else node.op)
