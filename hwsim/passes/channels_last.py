"""Layout changes that frameworks make as views: channels last, and q, k, v as slices of one product.

PyTorch keeps images of a model in channels-last memory (torch.channels_last): permuting (batch, channels, height,
width) to channels last, and back, then only renames axes, and so does turning an image into a sequence of pixels or
back. What one product made for q, k and v is cut by strides, which fused attention reads; so are slices and pieces
that element-wise kernels, joins, sums and transposing copies read.
"""

from __future__ import annotations

from collections.abc import Callable

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.attention import Attention
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.elementwise import Binary, Gated, Unary
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.slice_view import SliceView
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.split_view import SplitView
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import PASSES
from hwsim.passes.rewrite import Rewriter, users, with_operators

__all__ = [
    "channels_last",
    "groups_channels_second",
    "norms_channels_second",
    "pads_channels_second",
    "split_views",
    "strided_reads",
]

_IMAGE = ((0, 2, 3, 1), (0, 3, 1, 2))
_SEQUENCE = (0, 2, 1)
_VIEWS = (Reshape, StridedView, Transpose)
_TAKES_STRIDES = (Binary, Cast, Concat, Gated, GlobalAverage, ReduceAxes, Transpose, Unary)


@PASSES.register("channels_last")
def channels_last(graph: Graph) -> Graph:
    """The graph with permutations between channels second and channels last, and of pixels in a row, as views."""
    read_by = users(graph)

    def chosen(node: Node) -> Operator:
        if isinstance(node.op, Transpose) and (
            (tuple(node.op.perm) in _IMAGE and not _of_scores(graph, node.inputs[0]))
            or (tuple(node.op.perm) == _SEQUENCE and _of_an_image(graph, node, read_by))
        ):
            return StridedView(node.op.perm)
        return node.op

    return with_operators(graph, chosen)


@PASSES.register("split_views")
def split_views(graph: Graph) -> Graph:
    """The graph with splits as views where all pieces go to fused attention, through changes of shape at most."""
    read_by = users(graph)

    def chosen(node: Node) -> Operator:
        if type(node.op) is Split and all(_attended(graph, read_by, name) for name in node.outputs):
            return SplitView(node.op.axis, node.op.sizes)
        return node.op

    return with_operators(graph, chosen)


def _attended(graph: Graph, read_by: dict[str, list[int]], tensor: str) -> bool:
    """Whether every reader is attention, or a view whose readers all are."""
    readers = read_by.get(tensor, [])
    nodes = [graph.nodes[index] for index in readers if index >= 0]
    return len(nodes) == len(readers) > 0 and all(
        isinstance(node.op, Attention) or (isinstance(node.op, _VIEWS) and _attended(graph, read_by, node.outputs[0]))
        for node in nodes
    )


def _of_scores(graph: Graph, tensor: str) -> bool:
    """Whether products of queries and keys, or their softmax, lead there: they lie as they were made, heads second.

    Linear layers between permutations mix the heads (Shazeer et al. 2020, Talking-Heads Attention).
    """
    maker = graph.producer.get(tensor)
    while maker is not None:
        node = graph.nodes[maker]
        if isinstance(node.op, (Matmul, Softmax)):
            return True
        before = graph.producer.get(node.inputs[0])
        mixes = isinstance(node.op, Linear) and before is not None and _permutes(graph.nodes[before])
        if not (mixes or _permutes(node) or isinstance(node.op, (Binary, Cast, Unary))):
            return False
        maker = before
    return False


def _permutes(node: Node) -> bool:
    return isinstance(node.op, Transpose) and tuple(node.op.perm) in _IMAGE


def _of_an_image(graph: Graph, node: Node, read_by: dict[str, list[int]]) -> bool:
    """Whether (batch, channels, pixels) was an image, or (batch, pixels, channels) becomes one at once."""
    maker = graph.producer.get(node.inputs[0])
    if maker is not None and isinstance(graph.nodes[maker].op, Reshape):
        before, after = (graph.tensors[name].shape for name in (graph.nodes[maker].inputs[0], node.inputs[0]))
        if len(before) == 4 and before[:2] == after[:2]:
            return True
    shape = graph.tensors[node.outputs[0]].shape
    readers = [graph.nodes[index] for index in read_by.get(node.outputs[0], []) if index >= 0]
    return bool(readers) and all(
        isinstance(reader.op, Reshape)
        and len(graph.tensors[reader.outputs[0]].shape) == 4
        and graph.tensors[reader.outputs[0]].shape[:2] == shape[:2]
        for reader in readers
    )


@PASSES.register("strided_reads")
def strided_reads(graph: Graph) -> Graph:
    """The graph with slices and splits as views where every reader, maybe through views, reads with strides.

    So are permutations that only such slices read.
    """
    read_by = users(graph)

    def chosen(node: Node) -> Operator:
        if type(node.op) is Slice and _strided(graph, read_by, node.outputs[0]):
            return SliceView(node.op.axis, node.op.start, node.op.stop, node.op.step)
        if type(node.op) is Split and all(_strided(graph, read_by, name) for name in node.outputs):
            return SplitView(node.op.axis, node.op.sizes)
        if isinstance(node.op, Transpose) and _only_sliced(graph, read_by, node.outputs[0]):
            return StridedView(node.op.perm)
        return node.op

    return with_operators(graph, chosen)


def _only_sliced(graph: Graph, read_by: dict[str, list[int]], tensor: str) -> bool:
    readers = read_by.get(tensor, [])
    nodes = [graph.nodes[index] for index in readers if index >= 0]
    return len(nodes) == len(readers) > 0 and all(
        type(node.op) is Slice and _strided(graph, read_by, node.outputs[0]) for node in nodes
    )


def _strided(graph: Graph, read_by: dict[str, list[int]], tensor: str) -> bool:
    readers = read_by.get(tensor, [])
    nodes = [graph.nodes[index] for index in readers if index >= 0]
    return len(nodes) == len(readers) > 0 and all(
        isinstance(node.op, (*_TAKES_STRIDES, Attention))
        or (isinstance(node.op, (Reshape, StridedView)) and _strided(graph, read_by, node.outputs[0]))
        for node in nodes
    )


@PASSES.register("norms_channels_second")
def norms_channels_second(graph: Graph) -> Graph:
    """The graph with copies around group norms of images, as PyTorch's CUDA kernel takes channels second only.

    None where the weights of the convolution before are computed: then all of the network has channels second.
    """
    return _channels_second(graph, _norm_wants_second)


@PASSES.register("groups_channels_second")
def groups_channels_second(graph: Graph) -> Graph:
    """The graph with copies around grouped convolutions whose groups are not a power of two wide.

    assumption: cuDNN has channels-last kernels for powers of two only; measured RegNets agree.
    """
    return _channels_second(graph, _groups_want_second)


@PASSES.register("pads_channels_second")
def pads_channels_second(graph: Graph) -> Graph:
    """The graph with copies around mirrored borders of images, which PyTorch's CUDA kernel has for channels second."""
    return _channels_second(graph, _pad_wants_second)


def _pad_wants_second(graph: Graph, node: Node) -> bool:
    return isinstance(node.op, Pad) and node.op.mode == "reflect" and len(graph.tensors[node.inputs[0]].shape) == 4


def _channels_second(graph: Graph, wanted: Callable[[Graph, Node], bool]) -> Graph:
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if not wanted(graph, node):
                new.keep(node)
                continue
            last = new.add(StridedView(_IMAGE[0]), [new.tensors[node.inputs[0]]], f"{node.name}.last", node)
            x = new.add(Transpose(_IMAGE[1]), [last], f"{node.name}.second", node)
            y = new.add(node.op, [x, *(new.tensors[n] for n in node.inputs[1:])], f"{node.name}.inner", node)
            y = new.add(Transpose(_IMAGE[0]), [y], f"{node.name}.back", node)
            new.add(StridedView(_IMAGE[1]), [y], f"{node.name}.image", node, node.outputs[0])
    return new.finish()


def _norm_wants_second(graph: Graph, node: Node) -> bool:
    if not isinstance(node.op, GroupNorm) or len(graph.tensors[node.inputs[0]].shape) != 4:
        return False
    return _from_stored_weights(graph, node.inputs[0])


def _groups_want_second(graph: Graph, node: Node) -> bool:
    if type(node.op) is not Conv2d or node.op.groups == 1:
        return False
    width = graph.tensors[node.inputs[1]].shape[1]
    return width & (width - 1) != 0


def _from_stored_weights(graph: Graph, tensor: str) -> bool:
    """Whether the convolution that x comes from, along first operands, reads weights as they are stored."""
    maker = graph.producer.get(tensor)
    while maker is not None:
        node = graph.nodes[maker]
        if isinstance(node.op, Conv2d):
            return graph.tensors[node.inputs[1]].role == "weight"
        maker = graph.producer.get(node.inputs[0])
    return True
