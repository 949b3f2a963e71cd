"""Run what a model computes in fp32 in the format of its activations: chips whose compilers know one float format.

Models that widen parts of themselves (linear attention of EfficientViT) say so by casts. Qualcomm's compiler makes all
float tensors fp16 on its NPU, and a quantized model's compiler all of them integers; the casts then have nothing to do.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph
from hwsim.graph.tensor import AUTO, Tensor
from hwsim.operators.cast import Cast
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter

__all__ = ["narrow_floats"]


@PASSES.register("narrow_floats")
def narrow_floats(graph: Graph) -> Graph:
    """The graph with fp32 tensors in the formats of its scheme and without the casts that thereby do nothing."""
    if not any(t.type.format == "fp32" for t in graph.tensors.values()):
        return graph
    graph = replace(graph, tensors={name: _narrowed(t, graph) for name, t in graph.tensors.items()})
    new = Rewriter(graph)
    renamed: dict[str, str] = {}
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            (source, made) = (node.inputs[:1], node.outputs[:1])
            same = graph.tensors[source[0]].type.format == graph.tensors[made[0]].type.format if source else False
            if isinstance(node.op, Cast) and same and made[0] not in graph.outputs:
                renamed[made[0]] = renamed.get(source[0], source[0])
            else:
                new.keep(node, renamed)
    return new.finish()


def _narrowed(tensor: Tensor, graph: Graph) -> Tensor:
    kind = tensor.type
    if kind.format != "fp32":
        return tensor
    chosen = graph.scheme
    narrow = AUTO if chosen is None else chosen.weight if kind.weight else chosen.activation
    return replace(tensor, type=replace(kind, format=narrow))
