"""Layout changes that frameworks make as views: channels last, and q, k, v as slices of one product.

PyTorch keeps images of a model in channels-last memory (torch.channels_last): permuting (batch, channels, height,
width) to channels last, and back, then only renames axes. What one product made for q, k and v is cut by strides,
which fused attention reads.
"""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.graph import Graph, Node
from hwsim.operators.attention import Attention
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.split_view import SplitView
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users

__all__ = ["channels_last", "split_views"]

_IMAGE = ((0, 2, 3, 1), (0, 3, 1, 2))
_VIEWS = (Reshape, StridedView, Transpose)


@PASSES.register("channels_last")
def channels_last(graph: Graph) -> Graph:
    """The graph with permutations between channels second and channels last as views."""
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if isinstance(node.op, Transpose) and tuple(node.op.perm) in _IMAGE:
                node = replace(node, op=StridedView(node.op.perm))
            new.keep(node)
    return new.finish()


@PASSES.register("split_views")
def split_views(graph: Graph) -> Graph:
    """The graph with splits as views where all pieces go to fused attention, through changes of shape at most."""
    read_by = users(graph)
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if type(node.op) is Split and all(_attended(graph, read_by, name) for name in node.outputs):
                node = Node(node.name, SplitView(node.op.axis, node.op.sizes), node.inputs, node.outputs, node.tags)
            new.keep(node)
    return new.finish()


def _attended(graph: Graph, read_by: dict[str, list[int]], tensor: str) -> bool:
    """Whether every reader is attention, or a view whose readers all are."""
    readers = read_by.get(tensor, [])
    nodes = [graph.nodes[index] for index in readers if index >= 0]
    return len(nodes) == len(readers) > 0 and all(
        isinstance(node.op, Attention) or (isinstance(node.op, _VIEWS) and _attended(graph, read_by, node.outputs[0]))
        for node in nodes
    )
