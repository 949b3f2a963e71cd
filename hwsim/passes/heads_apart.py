"""Attention whose heads a model computes one by one, each with products and a softmax of its own."""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.attention import Attention
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import with_operators
from hwsim.passes.strided_attention import strided_attention

__all__ = ["heads_apart"]


@PASSES.register("heads_apart")
def heads_apart(graph: Graph) -> Graph:
    """The graph with every attention marked as head by head, as models are adapted to phones' NPUs; values are kept.

    A head's queries, keys and values come from products of their own, which add up to those of all heads, so that no
    tensor of all heads is transposed: :func:`strided_attention` goes before.
    """
    return with_operators(strided_attention(graph), _apart)


def _apart(node: Node) -> Operator:
    return replace(node.op, head_by_head=True) if isinstance(node.op, Attention) else node.op
