"""Permutations as index arithmetic of the loops that make or read them, as a compiler of loops has them.

TorchInductor writes what a loop makes straight into the order that a library wants, and reads any order in a loop;
a copy of its own is left only where one library call hands its result to another in an order that neither knows (J.
Ansel et al., PyTorch 2, ASPLOS 2024, section 4). Products read matrices turned.
"""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.attention import Attention
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.expand import Expand
from hwsim.operators.gemm import Gemm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.recurrent import Recurrent
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice_view import SliceView
from hwsim.operators.split_view import SplitView
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import users, with_operators

__all__ = ["CALLS", "VIEWS", "loop_layouts"]

CALLS = (Attention, Conv1d, Conv2d, Conv3d, ConvTranspose2d, Gemm, Linear, Matmul, Recurrent)
"""What is left to libraries; all else that works is a loop."""
VIEWS = (Expand, Reshape, SliceView, SplitView, StridedView, Transpose)


@PASSES.register("loop_layouts")
def loop_layouts(graph: Graph) -> Graph:
    """The graph with permutations as views where a loop makes or reads them, or products read matrices turned."""
    read_by = users(graph)

    def chosen(node: Node) -> Operator:
        if isinstance(node.op, Transpose) and (
            _made_by_a_loop(graph, read_by, node)
            or _all_read(graph, read_by, node.outputs[0], lambda op: not isinstance(op, CALLS))
            or _turned_for_products(graph, read_by, node)
        ):
            return StridedView(node.op.perm)
        return node.op

    return with_operators(graph, chosen)


def _made_by_a_loop(graph: Graph, read_by: dict[str, list[int]], node: Node) -> bool:
    """Whether a loop made x for this permutation alone."""
    name = node.inputs[0]
    while (maker := graph.producer.get(name)) is not None and len(read_by.get(name, [])) == 1:
        op = graph.nodes[maker].op
        if not isinstance(op, VIEWS):
            return not isinstance(op, CALLS)
        name = graph.nodes[maker].inputs[0]
    return False


def _all_read(graph: Graph, read_by: dict[str, list[int]], tensor: str, reads: Callable[[Operator], bool]) -> bool:
    """Whether there are readers, maybe through views, and all are of that kind."""
    readers = read_by.get(tensor, [])
    nodes = [graph.nodes[index] for index in readers if index >= 0]
    return len(nodes) == len(readers) > 0 and all(
        _all_read(graph, read_by, node.outputs[0], reads) if isinstance(node.op, VIEWS) else reads(node.op)
        for node in nodes
    )


def _turned_for_products(graph: Graph, read_by: dict[str, list[int]], node: Node) -> bool:
    """Whether only the last two axes change places, for products alone."""
    assert isinstance(node.op, Transpose)
    rank = len(node.op.perm)
    turned = (*range(rank - 2), rank - 1, rank - 2)
    readers = [graph.nodes[index] for index in read_by.get(node.outputs[0], []) if index >= 0]
    return tuple(node.op.perm) == turned and bool(readers) and all(isinstance(r.op, (Linear, Matmul)) for r in readers)
