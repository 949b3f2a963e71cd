"""Rules of operators that move, pick or rename elements."""

from __future__ import annotations

import math

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.operator import Operator
from hwsim.operators.checks import axis_of
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.gather import Gather
from hwsim.operators.gather_elements import GatherElements
from hwsim.operators.gather_nd import GatherNd
from hwsim.operators.one_hot import OneHot
from hwsim.operators.pad import Pad
from hwsim.operators.scatter_elements import ScatterElements
from hwsim.operators.scatter_nd import ScatterNd
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.operators.triangle import Triangle
from hwsim.workloads.onnx.elements import FLOATS
from hwsim.workloads.onnx.rules.elementwise import reshaped
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []


@rule("Reshape")
def _reshape(use: Use) -> Value:
    x, shape = use.at(0), use.numbers(1)
    if not use.whole("allowzero"):
        if any(d == 0 and i >= len(x.shape) for i, d in enumerate(shape)):
            raise InputError(f"shape {shape} keeps an axis that x {list(x.shape)} does not have")
        shape = [x.shape[i] if d == 0 else d for i, d in enumerate(shape)]
    if shape.count(-1) == 1:
        known = math.prod(d for d in shape if d != -1)
        if known == 0 or x.elements % known:
            raise InputError(f"x {list(x.shape)} has {x.elements} elements and does not fill {shape}")
        shape[shape.index(-1)] = x.elements // known
    if any(d < 0 for d in shape) or math.prod(shape) != x.elements:
        raise InputError(f"x {list(x.shape)} has {x.elements} elements and does not fill {shape}")
    return exactly(use, x, tuple(shape))


def exactly(use: Use, x: Value, shape: tuple[int, ...]) -> Value:
    """The value in that shape, which may hold nothing."""
    if 0 in shape and x.make is not None:
        array = x.make().reshape(shape)
        return Value(shape=shape, format=x.format, make=lambda: array)
    return reshaped(use, x, shape)


@rule("Flatten")
def _flatten(use: Use) -> Value:
    x, axis = use.at(0), use.whole("axis", 1)
    if not -len(x.shape) <= axis <= len(x.shape):
        raise InputError(f"axis {axis} of a tensor with {len(x.shape)} axes")
    axis += len(x.shape) if axis < 0 else 0
    return exactly(use, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def axes_of(use: Use, rank: int, index: int = 1, since: int = 13) -> tuple[int, ...] | None:
    """``axes`` from the attribute or, from opset ``since`` on, the input; counted from the front; None if not given."""
    numbers = use.ints("axes")
    if numbers is None and use.opset >= since and use.has(index):
        numbers = use.numbers(index)
    if numbers is None:
        return None
    found = tuple(axis_of(use.kind, axis, rank) for axis in numbers)
    if len(set(found)) < len(found):
        raise InputError(f"axes {numbers} name an axis twice")
    return found


@rule("Squeeze")
def _squeeze(use: Use) -> Value:
    x = use.at(0)
    axes = axes_of(use, len(x.shape))
    gone = tuple(i for i, d in enumerate(x.shape) if d == 1) if axes is None else axes
    if any(x.shape[i] != 1 for i in gone):
        raise InputError(f"axes {list(gone)} of x {list(x.shape)} must have extent 1")
    return exactly(use, x, tuple(d for i, d in enumerate(x.shape) if i not in gone))


@rule("Unsqueeze")
def _unsqueeze(use: Use) -> Value:
    x = use.at(0)
    count = use.ints("axes") or (use.numbers(1) if use.has(1) else None)
    if count is None:
        raise InputError("axes are missing")
    axes = axes_of(use, len(x.shape) + len(count)) or ()
    rest = iter(x.shape)
    return exactly(use, x, tuple(1 if i in axes else next(rest) for i in range(len(x.shape) + len(axes))))


@rule("Transpose")
def _transpose(use: Use) -> Value:
    x = use.at(0)
    perm = use.ints("perm")
    return use.add(Transpose(tuple(reversed(range(len(x.shape)))) if perm is None else tuple(perm)), x)


@rule("Concat")
def _concat(use: Use) -> Value:
    values = use.all()
    full = [v for v in values if v.elements] or values[:1]
    if not full:
        raise InputError("takes 1 input or more, not 0")
    return full[0] if len(full) == 1 else use.add(Concat(use.whole("axis", 1)), *full)


@rule("Split")
def _split(use: Use) -> list[Value]:
    x = use.at(0)
    axis = axis_of("split", use.whole("axis"), len(x.shape))
    sizes = use.ints("split")
    if sizes is None and use.opset >= 13 and use.has(1):
        sizes = use.numbers(1)
    if sizes is None:
        parts = use.whole("num_outputs", len(use.outputs))
        if not 1 <= parts <= max(1, len(use.outputs)):
            raise InputError(f"num_outputs is {parts}, but there are {len(use.outputs)} outputs")
        each = -(-x.shape[axis] // parts)
        sizes = [min(each, max(0, x.shape[axis] - each * i)) for i in range(parts)]
    if min(sizes, default=0) < 0 or sum(sizes) != x.shape[axis]:
        raise InputError(f"sizes {sizes} do not add up to the {x.shape[axis]} elements of axis {axis}")
    pieces = iter(use.add_all(Split(axis, tuple(size for size in sizes if size)), x)) if any(sizes) else iter(())
    return [next(pieces) if size else _empty(use, x, axis) for size in sizes]


@rule("Slice")
def _slice(use: Use) -> Value:
    x = use.at(0)
    rank = len(x.shape)
    if use.opset < 10:
        starts, ends = use.ints("starts") or [], use.ints("ends") or []
        axes, steps = use.ints("axes") or list(range(len(starts))), [1] * len(starts)
    else:
        starts, ends = use.numbers(1), use.numbers(2)
        axes = use.numbers(3) if use.has(3) else list(range(len(starts)))
        steps = use.numbers(4) if use.has(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise InputError(f"starts {starts}, ends {ends}, axes {axes} and steps {steps} must be equally many")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = x.shape[axis_of("slice", axis, rank)]
        if step == 0:
            raise InputError("steps must not be 0")
        stop = None if step < 0 and end < -size else end
        first = min(start, size - 1) if step < 0 else start
        left = len(range(*slice(first, stop, step).indices(size)))
        if left == 0:
            return _empty(use, x, axis % rank)
        if left < size or step != 1:
            x = use.add(Slice(axis, first, stop, step), x)
    return x


def _empty(use: Use, x: Value, axis: int) -> Value:
    """Nothing of x: a constant without elements."""
    shape = tuple(0 if i == axis else d for i, d in enumerate(x.shape))
    return use.constant(np.zeros(shape), x.format)


@rule("Gather")
def _gather(use: Use) -> Value:
    x, indices = use.at(0), use.at(1)
    axis = use.whole("axis")
    whole = indices.make().ravel() if indices.constant and indices.make and indices.elements == 1 else None
    if whole is not None and not x.constant and len(x.shape) > 1:  # one place: a slice without the axis
        at = axis_of("gather", axis, len(x.shape))
        index = int(whole[0])
        if not -x.shape[at] <= index < x.shape[at]:
            raise InputError(f"index {index} of axis {axis} of x {list(x.shape)}")
        index %= x.shape[at]
        piece = use.add(Slice(at, index, index + 1), x)
        return reshaped(use, piece, (*x.shape[:at], *indices.shape, *x.shape[at + 1 :]))
    return use.add(Gather(axis, wrap=True), x, indices)


@rule("GatherElements")
def _gather_elements(use: Use) -> Value:
    return use.add(GatherElements(use.whole("axis")), use.at(0), use.at(1))


@rule("GatherND")
def _gather_nd(use: Use) -> Value:
    return use.add(GatherNd(use.whole("batch_dims")), use.at(0), use.at(1))


@rule("ScatterElements", "Scatter")
def _scatter_elements(use: Use) -> Value:
    return use.add(ScatterElements(use.whole("axis"), use.text("reduction", "none")), *use.all())


@rule("ScatterND")
def _scatter_nd(use: Use) -> Value:
    return use.add(ScatterNd(use.text("reduction", "none")), *use.all())


@rule("Expand")
def _expand(use: Use) -> Value:
    x, wanted = use.at(0), use.numbers(1)
    if any(d < 0 for d in wanted):
        raise InputError(f"shape {wanted} has a negative extent")
    rank = max(len(x.shape), len(wanted))
    old = (1,) * (rank - len(x.shape)) + x.shape
    new = [1] * (rank - len(wanted)) + wanted
    return _repeated(use, Expand(tuple(o if n == 1 else n for o, n in zip(old, new, strict=True))), x)


@rule("Tile")
def _tile(use: Use) -> Value:
    return _repeated(use, Tile(tuple(use.numbers(1))), use.at(0))


def _repeated(use: Use, op: Operator, x: Value) -> Value:
    """Elements written more than once. A parameter is repeated as the model runs, and stays one parameter."""
    parameter = x.constant and x.weight and x.elements > 1 and x.format in FLOATS
    return use.add_all(op, x, foldable=not parameter)[0]


@rule("Trilu")
def _trilu(use: Use) -> Value:
    return use.add(Triangle(bool(use.whole("upper", 1)), int(use.scalar(1)) if use.has(1) else 0), use.at(0))


@rule("Pad")
def _pad(use: Use) -> Value:
    x = use.at(0)
    rank = len(x.shape)
    if use.opset < 11:
        pads, value = use.ints("pads") or [], use.number("value", 0.0)
    else:
        pads, value = use.numbers(1), (use.scalar(2) if use.has(2) else 0.0)
    if use.has(3):
        axes = [axis_of("pad", axis, rank) for axis in use.numbers(3)]
        if len(pads) != 2 * len(axes):
            raise InputError(f"{len(pads)} pads for {len(axes)} axes")
        whole = [0] * (2 * rank)
        for i, axis in enumerate(axes):
            whole[axis], whole[rank + axis] = pads[i], pads[len(axes) + i]
        pads = whole
    if len(pads) != 2 * rank:
        raise InputError(f"pads must be {2 * rank} whole numbers, not {pads}")
    mode = use.text("mode", "constant")
    if min(pads, default=0) < 0:
        raise use.refuse("negative pads")
    return use.add(Pad(tuple(zip(pads[:rank], pads[rank:], strict=True)), value, mode), x)


@rule("DepthToSpace", "SpaceToDepth")
def _blocks(use: Use) -> Value:
    x, block = use.at(0), use.whole("blocksize", 0)
    if len(x.shape) != 4 or block < 1:
        raise InputError(f"x {list(x.shape)} must have 4 axes and blocksize {block} be at least 1")
    n, c, h, w = x.shape
    if use.kind == "SpaceToDepth":
        if h % block or w % block:
            raise InputError(f"blocks of {block} do not fill x {list(x.shape)}")
        y = reshaped(use, x, (n, c, h // block, block, w // block, block))
        perm = (0, 1, 3, 5, 2, 4) if use.text("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
        return reshaped(use, use.add(Transpose(perm), y), (n, c * block**2, h // block, w // block))
    if c % block**2:
        raise InputError(f"blocks of {block} do not divide the channels of x {list(x.shape)}")
    rest = c // block**2
    if use.text("mode", "DCR") == "CRD":
        y = use.add(Transpose((0, 1, 4, 2, 5, 3)), reshaped(use, x, (n, rest, block, block, h, w)))
    else:
        y = use.add(Transpose((0, 3, 4, 1, 5, 2)), reshaped(use, x, (n, block, block, rest, h, w)))
    return reshaped(use, y, (n, rest, h * block, w * block))


@rule("OneHot")
def _one_hot(use: Use) -> Value:
    depth, values = use.scalar(1), use.known(2)
    if values.size != 2 or depth < 1:
        raise InputError(f"depth {depth} must be at least 1, and there must be two values, not {values.size}")
    off, on = (float(v) for v in values.ravel())
    return use.add(OneHot(int(depth), use.whole("axis", -1), on, off, use.graph_format(use.at(2).format)), use.at(0))
