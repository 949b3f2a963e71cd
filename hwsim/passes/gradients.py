"""How gradients flow back through operators: for each kind, the nodes that turn dy into those of its inputs.

Reverse-mode differentiation, Griewank and Walther, Evaluating Derivatives, 2008, chapter 3. Products, element-wise work
and layout are here; normalizations, attention and what else has a kernel of its own in ``gradients_by_kernel``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hwsim.graph.graph import Node
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor
from hwsim.operators.activation_grad import ActivationGrad
from hwsim.operators.add import Add
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.derivatives import has_derivative
from hwsim.operators.div import Div
from hwsim.operators.elementwise import Gated, Unary
from hwsim.operators.expand import Expand
from hwsim.operators.gated_grad import GatedGrad
from hwsim.operators.gemm import Gemm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.pow import Pow
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.strided_view import StridedView
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.passes.rewrite import Rewriter

__all__ = ["RULES", "Flow", "Gradients", "rule"]

Gradients = Sequence[Tensor | None]
"""One for each input of a node; None where nobody needs it."""


class Flow(NamedTuple):
    """One node on the way back: what it read and made, what came back to it, and where new nodes go.

    ``needs`` says of each input whether its gradient is wanted.
    """

    new: Rewriter
    node: Node
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    dys: tuple[Tensor | None, ...]
    needs: tuple[bool, ...]

    @property
    def op(self) -> Any:
        """The node's operator."""
        return self.node.op

    @property
    def dy(self) -> Tensor:
        """What came back to its only output."""
        (dy,) = self.dys
        assert dy is not None
        return dy

    def add(self, op: Operator, inputs: Sequence[Tensor], name: str) -> Tensor:
        """A new node ``<node>.grad.<name>``."""
        return self.add_all(op, inputs, name)[0]

    def add_all(self, op: Operator, inputs: Sequence[Tensor], name: str) -> tuple[Tensor, ...]:
        """A new node of several outputs."""
        return self.new.add_several(op, inputs, f"{self.node.name}.grad.{name}", self.node)

    def shaped(self, tensor: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """The tensor viewed in another shape."""
        return tensor if tensor.shape == shape else self.add(Reshape(shape), [tensor], name)

    def summed(self, tensor: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
        """The tensor summed over the axes along which a value of ``shape`` was repeated to its own."""
        lead = len(tensor.shape) - len(shape)
        padded = (1,) * lead + shape
        axes = tuple(i for i, (full, own) in enumerate(zip(tensor.shape, padded, strict=True)) if own != full)
        if axes:
            tensor = self.add(ReduceAxes("sum", axes, keepdims=True), [tensor], f"{name}.sum")
        return self.shaped(tensor, shape, f"{name}.shape")


Rule = Callable[[Flow], Gradients]
RULES: dict[type[Any], Rule] = {}
"""The rule of each class of operators; a subclass without one uses its parent's."""


def rule(*kinds: type[Any]) -> Callable[[Rule], Rule]:
    """Decorator that enters a rule for classes of operators."""

    def entered(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(kinds, function))
        return function

    return entered


def _rows(flow: Flow, tensor: Tensor, name: str) -> Tensor:
    """(rows, features) of (..., features)."""
    return flow.shaped(tensor, (math.prod(tensor.shape[:-1]), tensor.shape[-1]), name)


@rule(Linear)
def _linear(flow: Flow) -> Gradients:
    x, w, *bias = flow.inputs
    dy, grads = flow.dy, [None, None, None][: len(flow.inputs)]
    found: list[Tensor | None] = list(grads)
    if flow.needs[0]:
        dx = flow.add(Matmul(), [_rows(flow, dy, "dy"), w], "x")
        found[0] = flow.shaped(dx, x.shape, "x.shape")
    if flow.needs[1]:
        found[1] = flow.add(Gemm(transpose_a=True), [_rows(flow, dy, "dy_w"), _rows(flow, x, "rows")], "w")
    if bias and flow.needs[2]:
        found[2] = flow.summed(dy, bias[0].shape, "bias")
    return found


@rule(Gemm)
def _gemm(flow: Flow) -> Gradients:
    op, (a, b, *addend), dy = flow.op, flow.inputs, flow.dy
    scaled = dy if op.alpha == 1.0 else flow.add(Mul(op.alpha), [dy], "alpha")
    found: list[Tensor | None] = [None] * len(flow.inputs)
    if flow.needs[0]:
        left, right = (
            ([b, scaled], (op.transpose_b, True)) if op.transpose_a else ([scaled, b], (False, not op.transpose_b))
        )
        found[0] = flow.add(Gemm(*right), left, "a")
    if flow.needs[1]:
        left, right = (
            ([scaled, a], (True, op.transpose_a)) if op.transpose_b else ([a, scaled], (not op.transpose_a, False))
        )
        found[1] = flow.add(Gemm(*right), left, "b")
    if addend and flow.needs[2]:
        share = dy if op.beta == 1.0 else flow.add(Mul(op.beta), [dy], "beta")
        found[2] = flow.summed(share, addend[0].shape, "c")
    return found


@rule(Matmul)
def _matmul(flow: Flow) -> Gradients:
    op, (a, b), dy = flow.op, flow.inputs, flow.dy
    found: list[Tensor | None] = [None, None]
    if flow.needs[0]:
        if op.transpose_a:
            da = flow.add(Matmul(transpose_a=op.transpose_b, transpose_b=True), [b, dy], "a")
        else:
            da = flow.add(Matmul(transpose_b=not op.transpose_b), [dy, b], "a")
        found[0] = flow.summed(da, a.shape, "a")
    if flow.needs[1]:
        if len(b.shape) == 2 and not op.transpose_a:  # one product over all rows instead of a sum over the batch
            pair = [_rows(flow, a, "rows"), _rows(flow, dy, "dy")]
            found[1] = flow.add(Gemm(transpose_a=True), pair[::-1] if op.transpose_b else pair, "b")
            return found
        if op.transpose_b:
            db = flow.add(Matmul(transpose_a=True, transpose_b=op.transpose_a), [dy, a], "b")
        else:
            db = flow.add(Matmul(transpose_a=not op.transpose_a), [a, dy], "b")
        found[1] = flow.summed(db, b.shape, "b")
    return found


@rule(Add, Sub)
def _sum(flow: Flow) -> Gradients:
    found: list[Tensor | None] = []
    for place, (tensor, needed) in enumerate(zip(flow.inputs, flow.needs, strict=True)):
        if not needed:
            found.append(None)
            continue
        share = flow.summed(flow.dy, tensor.shape, f"{place}")
        negative = isinstance(flow.op, Sub) and place == 1
        found.append(flow.add(Mul(-1.0), [share], f"{place}.negative") if negative else share)
    return found


@rule(Mul)
def _product(flow: Flow) -> Gradients:
    if flow.op.scalar is not None:
        return [flow.add(Mul(flow.op.scalar), [flow.dy], "x")]
    pairs = zip(flow.inputs, flow.inputs[::-1], flow.needs, strict=True)
    return [
        flow.summed(flow.add(Mul(), [flow.dy, other], f"{place}.product"), tensor.shape, f"{place}") if needed else None
        for place, (tensor, other, needed) in enumerate(pairs)
    ]


@rule(Div)
def _quotient(flow: Flow) -> Gradients:
    if flow.op.scalar is not None:
        return [flow.add(Div(flow.op.scalar), [flow.dy], "x")]
    (a, b), found = flow.inputs, [None, None]
    grads: list[Tensor | None] = list(found)
    share = flow.add(Div(), [flow.dy, b], "share")
    if flow.needs[0]:
        grads[0] = flow.summed(share, a.shape, "a")
    if flow.needs[1]:
        minus = flow.add(Mul(-1.0), [flow.add(Mul(), [share, flow.outputs[0]], "b.product")], "b.negative")
        grads[1] = flow.summed(minus, b.shape, "b")
    return grads


@rule(Pow)
def _power(flow: Flow) -> Gradients:
    if flow.op.scalar is None:
        raise KeyError("a power with a tensor as exponent")
    lower = flow.add(Pow(flow.op.scalar - 1.0), [flow.inputs[0]], "lower")
    return [flow.add(Mul(flow.op.scalar), [flow.add(Mul(), [flow.dy, lower], "product")], "x")]


@rule(Unary)
def _function(flow: Flow) -> Gradients:
    if not has_derivative(flow.op):
        raise KeyError(flow.op.kind)
    return [flow.add(ActivationGrad(flow.op), [flow.dy, flow.inputs[0]], "x")]


@rule(Gated)
def _gated(flow: Flow) -> Gradients:
    return flow.add_all(GatedGrad(flow.op), [flow.dy, *flow.inputs], "gate")


@rule(ScaleShift)
def _scale_shift(flow: Flow) -> Gradients:
    x, scale, shift = flow.inputs
    found: list[Tensor | None] = [None, None, None]
    if flow.needs[0]:
        found[0] = flow.add(Mul(), [flow.dy, flow.add(Add(1.0), [scale], "factor")], "x")
    if flow.needs[1]:
        found[1] = flow.summed(flow.add(Mul(), [flow.dy, x], "product"), scale.shape, "scale")
    if flow.needs[2]:
        found[2] = flow.summed(flow.dy, shift.shape, "shift")
    return found


@rule(Reshape)
def _reshape(flow: Flow) -> Gradients:
    return [flow.shaped(flow.dy, flow.inputs[0].shape, "x")]


@rule(Transpose, StridedView)
def _transpose(flow: Flow) -> Gradients:
    perm = flow.op.perm
    inverse = tuple(perm.index(axis) for axis in range(len(perm)))
    return [flow.add(type(flow.op)(inverse), [flow.dy], "x")]


@rule(Expand)
def _expand(flow: Flow) -> Gradients:
    return [flow.summed(flow.dy, flow.inputs[0].shape, "x")]


@rule(Cast)
def _cast(flow: Flow) -> Gradients:
    return [flow.add(Cast(flow.inputs[0].type.format), [flow.dy], "x")]


@rule(Concat)
def _concat(flow: Flow) -> Gradients:
    axis = flow.op.axis
    sizes = tuple(t.shape[axis] for t in flow.inputs)
    return [flow.dy] if len(sizes) == 1 else flow.add_all(Split(axis, sizes), [flow.dy], "parts")


@rule(Split)
def _split(flow: Flow) -> Gradients:
    axis, x = flow.op.axis % len(flow.inputs[0].shape), flow.inputs[0]
    parts = [dy for dy in flow.dys if dy is not None]
    if len(parts) == len(flow.dys):
        return [flow.add(Concat(axis), parts, "x") if len(parts) > 1 else parts[0]]
    dx, start = None, 0
    for place, (dy, out) in enumerate(zip(flow.dys, flow.outputs, strict=True)):
        edges = (start, x.shape[axis] - start - out.shape[axis])
        start += out.shape[axis]
        if dy is not None:
            pads = tuple(edges if i == axis else (0, 0) for i in range(len(x.shape)))
            wide = flow.add(Pad(pads), [dy], f"part{place}")
            dx = wide if dx is None else flow.add(Add(), [dx, wide], f"sum{place}")
    return [dx]


@rule(Slice)
def _slice(flow: Flow) -> Gradients:
    op, x = flow.op, flow.inputs[0]
    axis = op.axis % len(x.shape)
    kept = range(*slice(op.start, op.stop, op.step).indices(x.shape[axis]))
    if kept.step != 1:
        raise KeyError("slice with a step")
    edges = (kept.start, x.shape[axis] - kept.stop)
    pads = tuple(edges if i == axis else (0, 0) for i in range(len(x.shape)))
    return [flow.dy if edges == (0, 0) else flow.add(Pad(pads), [flow.dy], "x")]


@rule(Pad)
def _pad(flow: Flow) -> Gradients:
    dx = flow.dy
    for axis, (before, after) in enumerate(flow.op.pads):
        if before or after:
            dx = flow.add(Slice(axis, before, dx.shape[axis] - after), [dx], f"x{axis}")
    return [dx]


@rule(ReduceAxes)
def _reduce(flow: Flow) -> Gradients:
    op, x = flow.op, flow.inputs[0]
    if op.mode not in ("sum", "mean"):
        raise KeyError(f"reduce {op.mode}")
    axes = {axis % len(x.shape) for axis in op.axes}
    kept = flow.shaped(flow.dy, tuple(1 if i in axes else d for i, d in enumerate(x.shape)), "kept")
    if op.mode == "mean":
        kept = flow.add(Mul(1.0 / math.prod(x.shape[i] for i in axes)), [kept], "mean")
    return [flow.add(Expand(x.shape), [kept], "x")]
