"""Attention whose heads a model computes one by one, each with products and a softmax of its own."""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.attention import Attention
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import with_operators

__all__ = ["heads_apart"]

_HEADS_FIRST = (0, 2, 1, 3)
"""From (batch, seq, heads, dim) to heads before positions, and back."""


@PASSES.register("heads_apart")
def heads_apart(graph: Graph) -> Graph:
    """The graph with every attention marked as head by head, as models are adapted to phones' NPUs; values are kept.

    A head's queries, keys and values come from products of their own, which add up to those of all heads, so that no
    tensor of all heads is transposed, be it for attention or for a cache.
    """
    return with_operators(graph, _apart)


def _apart(node: Node) -> Operator:
    if isinstance(node.op, Attention):
        return replace(node.op, head_by_head=True)
    if isinstance(node.op, Transpose) and node.op.perm == _HEADS_FIRST:
        return StridedView(node.op.perm)
    return node.op
