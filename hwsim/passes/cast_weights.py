"""Cast weights on their way into a product: mixed precision keeps them in fp32 and narrows them for each run.

Micikevicius et al., Mixed Precision Training, 2018, section 3.1 (a master copy in fp32). Frameworks that insert casts
(autocast and Apex of PyTorch, graph rewriting of TensorFlow) narrow each weight once in each forward pass, by a kernel
of its own; a bias goes with its product.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import AUTO, BITS, Tensor
from hwsim.operators.cast import Cast
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.gemm import Gemm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter

__all__ = ["cast_weights"]

_PRODUCTS = (Conv2d, Gemm, Linear, Matmul)


@PASSES.register("cast_weights")
def cast_weights(graph: Graph) -> Graph:
    """The graph with 16-bit weights of products made from fp32 ones, each by a cast (``.narrowed``)."""
    new = Rewriter(graph)
    made: dict[str, Tensor] = {}
    for _, indices in new.phases():
        made.clear()
        for index in indices:
            node = graph.nodes[index]
            name = node.inputs[1] if isinstance(node.op, _PRODUCTS) and len(node.inputs) > 1 else ""
            if not name or not _narrow_weight(graph.tensors[name]):
                new.keep(node)
                continue
            if name not in made:
                made[name] = _narrowed(new, node, graph.tensors[name])
            new.keep(node, {name: made[name].name})
    return new.finish()


def _narrow_weight(tensor: Tensor) -> bool:
    return tensor.type.weight and tensor.type.format != AUTO and BITS[tensor.type.format] == BITS["fp16"]


def _narrowed(new: Rewriter, node: Node, weight: Tensor) -> Tensor:
    new.tensors[weight.name] = replace(weight, type=replace(weight.type, format="fp32"))
    return new.add(Cast(weight.type.format), [new.tensors[weight.name]], f"{node.name}.narrowed", node)
