"""The numbers a quantized tensor can hold: a narrow format times a scale, one for all, or one a channel or group.

Affine quantization after Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, 2018, eq. 1: value = scale (q - zero). Blocks of FP4 with FP8 scales after NVIDIA,
NVFP4, 2025.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.errors import InputError, ShapeError
from hwsim.graph.operator import Array
from hwsim.operators.formats import FLOATS, INTEGERS, round_to_float

__all__ = ["Grid", "decoded", "encoded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Evenly spaced integers or narrow floats, scaled.

    Attributes:
        format: of the numbers before scaling, from :data:`FLOATS` or :data:`INTEGERS`.
        symmetric: no zero point, and integers only as far as both signs reach (-127 to 127); else the zero point is
            chosen so that the range from the least to the greatest value fits.
        axis: the axis whose every index has a scale of its own; None: one for the whole tensor.
        group: of each index of ``axis``, so many elements share a scale (0: all), in the order they lie in.
        scale: fixed scales, one or one an index of ``axis``; empty: taken from the values that are rounded.
        zero: fixed zero points, as many as scales; empty: 0.
        scaled: False for a float used as it is, without a scale.
    """

    format: str = "int8"
    symmetric: bool = True
    axis: int | None = None
    group: int = 0
    scale: tuple[float, ...] = ()
    zero: tuple[int, ...] = ()
    scaled: bool = True

    def __post_init__(self) -> None:
        if self.format not in FLOATS and self.format not in INTEGERS:
            raise InputError(f"a grid has one of the formats {', '.join((*FLOATS, *INTEGERS))}, not '{self.format}'")
        if self.zero and len(self.zero) != len(self.scale):
            raise InputError(f"a grid has as many zero points as scales, not {len(self.zero)} and {len(self.scale)}")
        if any(not 0 < s < math.inf for s in self.scale):
            raise InputError(f"scales are numbers above 0, not {self.scale}")
        if self.group and self.scale:
            raise InputError("the scales of groups are taken from the values; give a grid either scales or a group")

    @property
    def stored(self) -> str:
        """The tensor format that numbers of this grid are stored in (int2 as int4: nothing narrower is packed)."""
        return {"int2": "int4", "uint2": "uint4"}.get(self.format, self.format)

    @property
    def is_integer(self) -> bool:
        """Whether the numbers before scaling are integers."""
        return self.format in INTEGERS

    @property
    def reach(self) -> tuple[float, float]:
        """Least and greatest number before scaling."""
        if not self.is_integer:
            return -FLOATS[self.format].largest, FLOATS[self.format].largest
        limits = INTEGERS[self.format]
        return (-limits.high if self.symmetric and limits.low < 0 else limits.low), limits.high

    def fixed(self, low: Sequence[float] | Array, high: Sequence[float] | Array) -> Grid:
        """The grid with scales (and zero points) that reach from ``low`` to ``high``, one each or one a channel.

        >>> Grid(symmetric=False).fixed([0.0], [25.5]).zero
        (-128,)
        """
        scale, zero = self._parameters(np.asarray(low, np.float64), np.asarray(high, np.float64))
        zeros = () if self.symmetric else tuple(int(z) for z in zero)
        return replace(self, scale=tuple(float(s) for s in scale), zero=zeros)

    def _parameters(self, low: Array, high: Array) -> tuple[Array, Array]:
        """(scale, zero) for values between ``low`` and ``high``; 0 always lies on the grid."""
        least, most = self.reach
        if self.symmetric or not self.is_integer:
            scale = np.maximum(np.abs(low), np.abs(high)) / most
            return np.where(scale > 0, scale, 1.0), np.zeros_like(scale)
        low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        scale = (high - low) / (most - least)
        scale = np.where(scale > 0, scale, 1.0)
        return scale, np.clip(np.rint(least - low / scale), least, most)

    def encode(self, x: Array) -> tuple[Array, Array, Array]:
        """(numbers before scaling, scale, zero), the latter two broadcasting to ``x``; ShapeError if in groups."""
        if not self.scaled:
            one = np.ones((), x.dtype)
            return round_to_float(x, self.format), one, np.zeros_like(one)
        if self.group:
            raise ShapeError("numbers in groups have no scale that broadcasts; round them with Grid.rounded")
        scale, zero = self.scales(x)
        return encoded(x, scale, zero, self), scale, zero

    def scales(self, x: Array) -> tuple[Array, Array]:
        """(scale, zero) that broadcast to ``x``: the fixed ones, or those the values ask for; else ShapeError."""
        others = tuple(i for i in range(x.ndim) if self.axis is None or i != self.axis % x.ndim)
        if self.scale:
            shape = [1 if i in others else d for i, d in enumerate(x.shape)] if len(self.scale) > 1 else [1] * x.ndim
            if math.prod(shape) != len(self.scale):
                raise ShapeError(f"a grid of {len(self.scale)} scales along axis {self.axis} does not fit {x.shape}")
            zero = np.reshape(self.zero or (0,) * len(self.scale), shape)
            return np.reshape(self.scale, shape).astype(x.dtype), zero.astype(x.dtype)
        scale, zero = self._parameters(x.min(axis=others, keepdims=True), x.max(axis=others, keepdims=True))
        return scale.astype(x.dtype), zero.astype(x.dtype)

    def rounded(self, x: Array) -> Array:
        """The values of ``x`` moved to the nearest ones the grid has."""
        if self.group and self.scaled:
            return self._rounded_in_groups(x)
        numbers, scale, zero = self.encode(x)
        return decoded(numbers, scale, zero)

    def _rounded_in_groups(self, x: Array) -> Array:
        """Values rounded with a scale a group; the scales themselves are stored as fp16, those of FP4 as FP8.

        FP8 scales are relative to one of the whole tensor, so that the largest is as large as FP8 allows.
        """
        rows = x.reshape(1, -1) if self.axis is None else np.moveaxis(x, self.axis, 0).reshape(x.shape[self.axis], -1)
        length = rows.shape[1]
        groups = -(-length // self.group)
        padded = np.pad(rows, ((0, 0), (0, groups * self.group - length))).reshape(len(rows), groups, self.group)
        scale, zero = self._parameters(padded.min(axis=2, keepdims=True), padded.max(axis=2, keepdims=True))
        if self.format == "fp4":
            whole = float(np.abs(x).max()) / (self.reach[1] * FLOATS["fp8"].largest) or 1.0
            scale = round_to_float(scale / whole, "fp8") * whole
        else:
            scale = round_to_float(scale, "fp16")
        scale = np.where(scale > 0, scale, 1.0).astype(x.dtype)
        y = decoded(encoded(padded, scale, zero.astype(x.dtype), self), scale, zero.astype(x.dtype))
        flat = y.reshape(len(rows), -1)[:, :length]
        if self.axis is None:
            return flat.reshape(x.shape)
        first = (x.shape[self.axis], *(d for i, d in enumerate(x.shape) if i != self.axis % x.ndim))
        moved: Array = np.moveaxis(flat.reshape(first), 0, self.axis)
        return moved


def encoded(x: Array, scale: Array, zero: Array, grid: Grid) -> Array:
    """Numbers of the grid's format for values: the nearest, ties to even, at most as far as the format reaches.

    Integers come in int8 or the like, floats in the dtype of ``x``.
    """
    if not grid.is_integer:
        return round_to_float(x / scale, grid.format, saturate=True)
    limits = INTEGERS[grid.format]
    whole = np.clip(np.rint(x / scale) + zero, limits.low, limits.high)
    numbers: Array = whole.astype(_dtype(limits.low, limits.high))
    return numbers


def decoded(numbers: Array, scale: Array, zero: Array) -> Array:
    """The values of numbers of a grid, in the dtype of ``scale``."""
    wide = numbers.astype(np.int32) - zero.astype(np.int32) if numbers.dtype.kind in "iu" else numbers
    y: Array = wide.astype(scale.dtype) * scale
    return y


def _dtype(low: int, high: int) -> type[np.integer]:
    kinds = (np.int8, np.uint8, np.int16, np.uint16)
    return next(kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
