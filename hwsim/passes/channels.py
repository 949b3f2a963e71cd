"""Which axes of a graph's tensors must keep equal extents, because operators add, multiply or contract along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Operator
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.conv3d import Conv3d
from hwsim.operators.elementwise import Binary, Gated, Unary
from hwsim.operators.gemm import Gemm
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.pooling import Pool
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.transpose import Transpose

__all__ = ["Axis", "Group", "channel_groups", "is_depthwise"]

Axis = tuple[str, int]
"""A tensor by name, and one of its axes."""

_CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)


@dataclass(frozen=True, slots=True)
class Group:
    """Axes of one extent that shrink together; ``makers`` are those of weights that make the channels."""

    axes: tuple[Axis, ...]
    makers: tuple[Axis, ...]


def channel_groups(graph: Graph) -> list[Group]:
    """Groups of axes that some weight makes and that nothing keeps whole, in the order of the tensors."""
    work = _Relations(graph)
    for node in graph.nodes:
        work.relate(node)
    return work.groups()


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether a node is a convolution in which every channel is a group of its own."""
    if not isinstance(node.op, _CONVOLUTIONS) or node.op.groups == 1:
        return False
    x, w = (graph.tensors[name].shape for name in node.inputs[:2])
    return node.op.groups == x[1] == w[0] and w[1] == 1


class _Relations:
    """Axes joined by operators (union-find), those kept whole, and those that weights make."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._parent: dict[Axis, Axis] = {}
        self._whole: set[Axis] = set()
        self._makers: list[Axis] = []
        for name, tensor in graph.tensors.items():
            if tensor.role in ("input", "state") and not self._is_statistic(name):
                self._keep(name)
        for name in graph.outputs:
            self._keep(name)

    def _is_statistic(self, name: str) -> bool:
        """Whether a state is a stored mean or variance, which shrinks with its channels."""
        readers = [node for node in self.graph.nodes if name in node.inputs]
        return bool(readers) and all(isinstance(node.op, BatchNorm) for node in readers)

    def _rank(self, name: str) -> int:
        return len(self.graph.tensors[name].shape)

    def _extent(self, axis: Axis) -> int:
        return self.graph.tensors[axis[0]].shape[axis[1]]

    def _root(self, axis: Axis) -> Axis:
        while (above := self._parent.get(axis, axis)) != axis:
            self._parent[axis] = self._parent.get(above, above)
            axis = above
        return axis

    def _join(self, one: Axis, other: Axis) -> None:
        self._parent[self._root(one)] = self._root(other)

    def _keep(self, name: str, *axes: int) -> None:
        self._whole.update((name, axis) for axis in axes or range(self._rank(name)))

    def relate(self, node: Node) -> None:
        """Enter what a node says of the axes of its tensors."""
        for kinds, rule in self._rules():
            if isinstance(node.op, kinds):
                rule(node)
                return
        for name in (*node.inputs, *node.outputs):
            self._keep(name)

    def _rules(self) -> tuple[tuple[tuple[type[Operator], ...], Callable[[Node], None]], ...]:
        return (
            (_CONVOLUTIONS, self._convolution),
            ((Linear,), self._linear),
            ((Gemm,), self._gemm),
            ((Matmul,), self._matmul),
            ((ReduceAxes,), self._reduce),
            ((BatchNorm,), self._batchnorm),
            ((Unary, Binary, Gated, ScaleShift, Cast), self._elementwise),
            ((LayerNorm, RmsNorm), self._row_norm),
            ((Pool, GlobalAverage), self._pool),
            ((Concat,), self._concat),
            ((Transpose,), self._transpose),
            ((Reshape,), self._reshape),
        )

    def _elementwise(self, node: Node) -> None:
        y = node.outputs[0]
        for name in node.inputs:
            lead = self._rank(y) - self._rank(name)
            for axis in range(self._rank(name)):
                if self._extent((name, axis)) == self._extent((y, axis + lead)):
                    self._join((name, axis), (y, axis + lead))

    def _batchnorm(self, node: Node) -> None:
        x, *vectors = node.inputs
        for axis in range(self._rank(x)):
            self._join((x, axis), (node.outputs[0], axis))
        for name in vectors:
            self._join((name, 0), (x, 1))

    def _convolution(self, node: Node) -> None:
        (x, w, *bias), y = node.inputs, node.outputs[0]
        self._join((x, 0), (y, 0))
        for name in (x, y, w):
            self._keep(name, *range(2, self._rank(name)))
        if is_depthwise(self.graph, node):
            self._join((x, 1), (y, 1))
        elif node.op.groups == 1:  # type: ignore[attr-defined]
            self._join((x, 1), (w, 1))
        else:
            self._keep(x, 1)
            self._keep(y, 1)
            self._keep(w, 0, 1)
        self._made((w, 0), (y, 1), bias)

    def _made(self, maker: Axis, channel: Axis, bias: list[str]) -> None:
        self._join(maker, channel)
        for name in bias:
            self._join((name, self._rank(name) - 1), channel)
        if self.graph.tensors[maker[0]].role == "weight":
            self._makers.append(maker)
        else:
            self._keep(maker[0])

    def _linear(self, node: Node) -> None:
        (x, w, *bias), y = node.inputs, node.outputs[0]
        last = self._rank(x) - 1
        for axis in range(last):
            self._join((x, axis), (y, axis))
        self._join((x, last), (w, 1))
        self._made((w, 0), (y, last), bias)

    def _gemm(self, node: Node) -> None:
        op, (a, b, *addend), y = node.op, node.inputs, node.outputs[0]
        assert isinstance(op, Gemm)
        rows, depth = (1, 0) if op.transpose_a else (0, 1)
        self._join((a, rows), (y, 0))
        self._join((a, depth), (b, 1 if op.transpose_b else 0))
        if addend and self.graph.tensors[addend[0]].shape[-1:] != self.graph.tensors[y].shape[-1:]:
            self._keep(y, 1)
            addend = []
        self._made((b, 0 if op.transpose_b else 1), (y, 1), addend)

    def _matmul(self, node: Node) -> None:
        op, (a, b), y = node.op, node.inputs, node.outputs[0]
        assert isinstance(op, Matmul)
        if op.transpose_a or self._rank(b) != 2:
            for name in (a, b, y):
                self._keep(name)
            return
        last = self._rank(a) - 1
        for axis in range(last):
            self._join((a, axis), (y, axis))
        self._join((a, last), (b, 1 if op.transpose_b else 0))
        self._made((b, 0 if op.transpose_b else 1), (y, last), [])

    def _reduce(self, node: Node) -> None:
        op, x, y = node.op, node.inputs[0], node.outputs[0]
        assert isinstance(op, ReduceAxes)
        gone = {axis % self._rank(x) for axis in op.axes}
        left = [axis for axis in range(self._rank(x)) if axis not in gone]
        for place, axis in enumerate(left):
            self._join((x, axis), (y, axis if op.keepdims else place))
        self._keep(x, *gone)

    def _row_norm(self, node: Node) -> None:
        op, x, y = node.op, node.inputs[0], node.outputs[0]
        first = self._rank(x) - (op.axes if isinstance(op, LayerNorm) else 1)
        for axis in range(self._rank(x)):
            self._join((x, axis), (y, axis))
            if axis >= first:
                self._keep(x, axis)
        for name in node.inputs[1:]:
            self._keep(name)

    def _pool(self, node: Node) -> None:
        x = node.inputs[0]
        for y in node.outputs:
            self._join((x, 0), (y, 0))
            self._join((x, 1), (y, 1))
            if self._rank(y) > 2:
                self._keep(y, *range(2, self._rank(y)))
        self._keep(x, *range(2, self._rank(x)))

    def _concat(self, node: Node) -> None:
        y = node.outputs[0]
        along = node.op.axis % self._rank(y)  # type: ignore[attr-defined]
        for name in node.inputs:
            for axis in range(self._rank(y)):
                if axis == along:
                    self._keep(name, axis)
                else:
                    self._join((name, axis), (y, axis))
        self._keep(y, along)

    def _transpose(self, node: Node) -> None:
        for axis, source in enumerate(node.op.perm):  # type: ignore[attr-defined]
            self._join((node.inputs[0], source), (node.outputs[0], axis))

    def _reshape(self, node: Node) -> None:
        """Axes of extent 1 may come and go; whatever else is joined or cut stays whole."""
        x, y = node.inputs[0], node.outputs[0]
        before, after = ([(n, i) for i in range(self._rank(n)) if self._extent((n, i)) > 1] for n in (x, y))
        if [self._extent(a) for a in before] != [self._extent(a) for a in after]:
            self._keep(x)
            self._keep(y)
            return
        for one, other in zip(before, after, strict=True):
            self._join(one, other)

    def groups(self) -> list[Group]:
        """The groups that may shrink."""
        whole = {self._root(axis) for axis in self._whole}
        members: dict[Axis, list[Axis]] = {}
        for name in self.graph.tensors:
            for place in range(self._rank(name)):
                members.setdefault(self._root((name, place)), []).append((name, place))
        makers: dict[Axis, list[Axis]] = {}
        for axis in dict.fromkeys(self._makers):
            makers.setdefault(self._root(axis), []).append(axis)
        return [
            Group(tuple(members[root]), tuple(made))
            for root, made in makers.items()
            if root not in whole and self._extent(root) > 1
        ]
