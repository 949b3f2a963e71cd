"""What becomes of an operator whose inputs are divided: how it needs them, and how its results are divided then.

A rule answers None where it has no way; the operator then runs on whole tensors. Shapes are those of the whole graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from hwsim.graph.operator import Operator
from hwsim.graph.tensor import TensorType
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.elementwise import Binary, Gated, Unary
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.strided_view import StridedView
from hwsim.operators.transpose import Transpose
from hwsim.passes.parallel.sharding import Sharding

__all__ = ["Planned", "planned"]

Shardings = Sequence[Sharding | None]
Types = Sequence[TensorType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The operator to run, the division it needs of each input, and that of each output.

    ``partial``: outputs are this rank's share of a sum over all ranks.
    """

    op: Operator
    needs: tuple[Sharding | None, ...]
    outputs: tuple[Sharding | None, ...]
    partial: bool = False


@dataclass(frozen=True, slots=True)
class _Use:
    """An operator with the types of its operands and results, how the operands are held, and among how many ranks."""

    op: Any
    inputs: Types
    held: Shardings
    outputs: Types
    ranks: int


Rule = Callable[[_Use], Planned | None]


def planned(op: Operator, inputs: Types, held: Shardings, outputs: Types, ranks: int) -> Planned | None:
    """What becomes of an operator, by the first rule for its class; None where there is none or it knows no way."""
    for kind, rule in _RULES:
        if isinstance(op, kind):
            return rule(_Use(op, inputs, held, outputs, ranks))
    return None


def _elementwise(use: _Use) -> Planned | None:
    """All operands divided alike; those that broadcast along the axis stay whole."""
    rank = len(use.outputs[0].shape)
    found = {s.at(s.axis + rank - len(t.shape)) for t, s in zip(use.inputs, use.held, strict=True) if s is not None}
    if len(found) != 1:
        return None
    (common,) = found
    if use.outputs[0].shape[common.axis] != common.length:
        return None
    needs: list[Sharding | None] = []
    for kind in use.inputs:
        axis = common.axis - (rank - len(kind.shape))
        divided = axis >= 0 and kind.shape[axis] == common.length
        needs.append(common.at(axis) if divided else None)
    return Planned(op=use.op, needs=tuple(needs), outputs=(common,) * len(use.outputs))


def _rows(use: _Use) -> Planned | None:
    """Whatever treats the last axes of its first operand row by row, the other operands being weights."""
    first = use.held[0]
    axes = use.op.axes if isinstance(use.op, LayerNorm) else 1
    if first is None or first.axis >= len(use.inputs[0].shape) - axes or any(s is not None for s in use.held[1:]):
        return None
    if isinstance(use.op, Softmax) and use.op.axis not in (-1, len(use.inputs[0].shape) - 1):
        return None
    return Planned(op=use.op, needs=tuple(use.held), outputs=(first,))


def _matmul(use: _Use) -> Planned | None:
    """Rows of a or columns of b divided: so is the result. The summed axis divided: partial sums."""
    rank = len(use.outputs[0].shape)
    if any(len(t.shape) != rank for t in use.inputs):
        return None
    a, b = use.held
    summed_b = rank - 1 if use.op.transpose_b else rank - 2
    if a is not None and b is not None:
        if a.axis == rank - 1 and b.axis == summed_b and a.segments == b.segments:
            return Planned(op=use.op, needs=(a, b), outputs=(None,), partial=True)
        return None
    if a is not None and a.axis == rank - 2:
        return Planned(op=use.op, needs=(a, None), outputs=(a,))
    if b is not None and b.axis == 2 * rank - 3 - summed_b:
        return Planned(op=use.op, needs=(None, b), outputs=(b.at(rank - 1),))
    return None


def _permuted(use: _Use) -> Planned | None:
    (s,) = use.held
    assert s is not None
    return Planned(op=use.op, needs=(s,), outputs=(s.at(use.op.perm.index(s.axis)),))


def _reshaped(use: _Use) -> Planned | None:
    """The axis kept, split with the divided part outermost, or merged with the axes behind it."""
    (s,) = use.held
    assert s is not None
    old, new = use.inputs[0].shape, use.outputs[0].shape
    before = math.prod(old[: s.axis])
    places = [i for i in range(len(new)) if math.prod(new[:i]) == before and new[i] > 1]
    if not places:
        return None
    axis, size = places[0], new[places[0]]
    if size == s.length:
        found = s.at(axis)
    elif len(s.segments) == 1 and size % use.ranks == 0 and (s.length % size == 0 or size % s.length == 0):
        found = Sharding(axis, ((size, True),))
    else:
        return None
    here = sum(found.lengths(use.ranks))
    return Planned(op=Reshape((*new[:axis], here, *new[axis + 1 :])), needs=(s,), outputs=(found,))


def _split(use: _Use) -> Planned | None:
    (s,) = use.held
    assert s is not None
    axis = use.op.axis % len(use.inputs[0].shape)
    if axis != s.axis:
        return Planned(op=use.op, needs=(s,), outputs=(s,) * len(use.outputs))
    ends = list(accumulate(use.op.sizes))
    parts = [s.between(end - size, end) for size, end in zip(use.op.sizes, ends, strict=True)]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    here = tuple(sum(s.lengths(use.ranks)[first:last]) for _, first, last in known)
    found = tuple(_as_held(axis, segments) for segments, _, _ in known)
    return Planned(op=replace(use.op, sizes=here), needs=(s,), outputs=found)


def _as_held(axis: int, segments: Any) -> Sharding | None:
    """A division, or None where nothing of it is cut."""
    return Sharding(axis, segments) if any(cut for _, cut in segments) else None


def _slice(use: _Use) -> Planned | None:
    (s,) = use.held
    assert s is not None
    axis = use.op.axis % len(use.inputs[0].shape)
    if axis != s.axis:
        return Planned(op=use.op, needs=(s,), outputs=(s,))
    start, stop, step = slice(use.op.start, use.op.stop, use.op.step).indices(s.length)
    part = s.between(start, stop) if step == 1 else None
    if part is None:
        return None
    segments, first, last = part
    edges = [0, *accumulate(s.lengths(use.ranks))]
    return Planned(
        op=replace(use.op, start=edges[first], stop=edges[last]), needs=(s,), outputs=(_as_held(axis, segments),)
    )


def _concat(use: _Use) -> Planned | None:
    """Joined along another axis: all divided alike. Along the divided one: the segments follow each other."""
    axis = use.op.axis % len(use.outputs[0].shape)
    divided = {s for s in use.held if s is not None}
    if all(s.axis == axis for s in divided):
        segments = [s.segments if s else ((t.shape[axis], False),) for t, s in zip(use.inputs, use.held, strict=True)]
        return Planned(
            op=use.op, needs=tuple(use.held), outputs=(Sharding(axis, tuple(r for part in segments for r in part)),)
        )
    if len(divided) != 1:
        return None
    (common,) = divided
    return Planned(op=use.op, needs=(common,) * len(use.inputs), outputs=(common,))


def _rope(use: _Use) -> Planned | None:
    """Each part turned by the positions it has in the whole."""
    s = use.held[0]
    if s is None or s.axis != 2 or len(use.inputs) > 1:
        return None
    return Planned(op=replace(use.op, ranks=use.ranks, segments=s.segments), needs=(s,), outputs=(s,))


def _reduced(use: _Use) -> Planned | None:
    """Sums within each token."""
    (s,) = use.held
    assert s is not None
    rank = len(use.inputs[0].shape)
    axes = [axis % rank for axis in use.op.axes]
    if s.axis in axes or not use.op.keepdims:
        return None
    return Planned(op=use.op, needs=(s,), outputs=(s,))


def _pad(use: _Use) -> Planned | None:
    (s,) = use.held
    assert s is not None
    return Planned(op=use.op, needs=(s,), outputs=(s,)) if use.op.pads[s.axis] == (0, 0) else None


def _pointwise(use: _Use) -> Planned | None:
    """A window of one pixel sees no neighbour."""
    s = use.held[0]
    alone = use.inputs[1].shape[2:] == (1, 1) and use.op.stride == (1, 1) and not any(use.op.padding)
    if s is None or s.axis < 2 or not alone:
        return None
    return Planned(op=use.op, needs=(s, *(None for _ in use.inputs[1:])), outputs=(s,))


_RULES: tuple[tuple[tuple[type, ...], Rule], ...] = (
    ((Binary, Cast, Gated, ScaleShift, Unary), _elementwise),
    ((LayerNorm, Linear, RmsNorm, Softmax), _rows),
    ((Matmul,), _matmul),
    ((StridedView, Transpose), _permuted),
    ((Reshape,), _reshaped),
    ((Split,), _split),
    ((Slice,), _slice),
    ((Concat,), _concat),
    ((Rope,), _rope),
    ((ReduceAxes,), _reduced),
    ((Pad,), _pad),
    ((Conv2d,), _pointwise),
)
