"""Drop the copies that put heads before positions: fused attention kernels read strided operands.

Dao, "FlashAttention-2", 2023, and its relatives take (batch, seq, heads, head_dim) with strides, so a framework
hands them views. Element-wise work, rotary embeddings and norms between the transpose and the kernel follow
strides as well. A transpose after the kernel is a view of what the kernel wrote in the other order.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.elementwise import Binary, Unary
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import users, with_operators

__all__ = ["strided_attention"]

_FOLLOW_STRIDES = (Append, Binary, RmsNorm, Rope, Unary)


@PASSES.register("strided_attention")
def strided_attention(graph: Graph) -> Graph:
    """The graph with the transposes before and after fused attention turned into views."""
    read_by = users(graph)
    reaches = [False] * len(graph.nodes)
    for index in reversed(range(len(graph.nodes))):
        op = graph.nodes[index].op
        if isinstance(op, Attention):
            reaches[index] = True
        elif isinstance(op, _FOLLOW_STRIDES):
            reaches[index] = _all_reach(graph, index, read_by, reaches)

    def chosen(node: Node) -> Operator:
        if isinstance(node.op, Transpose) and (
            _all_reach(graph, graph.producer[node.outputs[0]], read_by, reaches)
            or _from_attention(graph, node.inputs[0])
        ):
            return StridedView(node.op.perm)
        return node.op

    return with_operators(graph, chosen)


def _all_reach(graph: Graph, index: int, read_by: dict[str, list[int]], reaches: list[bool]) -> bool:
    """Whether some reader of the node's output leads to attention, and all do (leaving the graph is no obstacle)."""
    readers = [r for name in graph.nodes[index].outputs for r in read_by.get(name, [])]
    inside = [r for r in readers if r >= 0]
    return bool(inside) and all(reaches[r] for r in inside)


def _from_attention(graph: Graph, tensor: str) -> bool:
    made = graph.producer.get(tensor)
    return made is not None and isinstance(graph.nodes[made].op, Attention)
