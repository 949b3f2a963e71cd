"""What convolutions of one, two and three spatial axes share: sizes, their Gemm, their values.

A convolution is an implicit matrix product (S. Chetlur et al., cuDNN: Efficient Primitives for Deep
Learning, 2014, section 3): m = batch x output positions, n = output channels, k = window x input
channels, once per group, with fewer distinct elements behind A than m k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Gemm
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank, expect_shape
from hwsim.operators.products import finish, gemm_work, matrix_operand

_COLUMN_ELEMENTS = 2**24
"""Most elements of the columns a convolution makes at a time (64 MiB in float32), if one output row has no more."""

__all__ = ["Window", "both_sides", "convolution_type", "convolution_values", "convolution_work"]


@dataclass(frozen=True, slots=True)
class Window:
    """How a window walks over the spatial axes: one entry an axis, ``padding`` (before, after) an axis."""

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    def output(self, kind: str, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
        """Positions of the window an axis; raises ShapeError when it does not fit."""
        result = []
        for size, k, s, d, (before, after) in zip(sizes, kernel, self.stride, self.dilation, self.padding, strict=True):
            room = size + before + after - d * (k - 1) - 1
            if room < 0:
                raise ShapeError(
                    f"{kind}: a window of {list(kernel)} (dilation {list(self.dilation)}) does not fit "
                    f"{list(sizes)} padded by {[list(p) for p in self.padding]}"
                )
            result.append(room // s + 1)
        return tuple(result)


def both_sides(kind: str, padding: Sequence[int], axes: int) -> tuple[tuple[int, int], ...]:
    """Padding (before, after) of each axis from ``axes`` numbers, or all befores and then all afters; else ShapeError.

    >>> both_sides("conv2d", (1, 2), 2)
    ((1, 1), (2, 2))
    >>> both_sides("conv2d", (0, 1, 2, 3), 2)
    ((0, 2), (1, 3))
    """
    if len(padding) not in (axes, 2 * axes) or any(p < 0 for p in padding):
        raise ShapeError(f"{kind}: padding is {axes} or {2 * axes} numbers of at least 0, not {tuple(padding)}")
    return tuple((padding[i], padding[i - axes]) for i in range(axes))


def convolution_type(kind: str, inputs: Sequence[TensorType], window: Window, groups: int) -> TensorType:
    """(batch, cout, *positions) in the format of x (batch, cin, *sizes), for weights (cout, cin / groups, *window).

    Raises ShapeError where ranks, channels or groups do not fit or the window is larger than the padded input.
    """
    expect_inputs(kind, inputs, 2, 3)
    x, w = inputs[:2]
    axes = len(window.padding)
    expect_positive(kind, "stride", window.stride, axes)
    expect_positive(kind, "dilation", window.dilation, axes)
    expect_positive(kind, "groups", (groups,))
    rank = 2 + axes
    expect_rank(kind, "x", x, rank, rank)
    expect_rank(kind, "the weight", w, rank, rank)
    cin, cout = x.shape[1], w.shape[0]
    if cin != w.shape[1] * groups or cout % groups:
        raise ShapeError(
            f"{kind}: x {list(x.shape)} has {cin} channels; with {groups} groups the weight must be "
            f"(a multiple of {groups}, {cin / groups:g}, ...), not {list(w.shape)}"
        )
    if len(inputs) == 3:
        expect_shape(kind, "the bias", inputs[2], (cout,))
    return TensorType((x.shape[0], cout, *window.output(kind, x.shape[2:], w.shape[2:])), x.format)


def convolution_work(kind: str, inputs: Sequence[TensorType], output: TensorType, window: Window, groups: int) -> Gemm:
    """The implicit Gemm, ``batch`` being the groups; input that strides skip is not counted as read."""
    x, w = inputs[:2]
    cout, channels, *kernel = w.shape
    depth, (kh, kw) = math.prod(kernel[:-2]), [1, *kernel][-2:]
    positions = output.shape[2:]
    work = gemm_work(
        kind,
        (x, w),
        output,
        (groups, x.shape[0] * math.prod(positions), cout // groups, channels * math.prod(kernel)),
        addend=inputs[2] if len(inputs) == 3 else None,
    )
    touched = (min(size, o * k) for size, o, k in zip(x.shape[2:], positions, kernel, strict=True))
    return replace(
        work,
        a_elements=x.shape[0] * x.shape[1] * math.prod(touched),
        kh=kh,
        kw=kw,
        channels=channels * depth,
        groups=groups,
        stride=max(*window.stride, *window.dilation),
        out_h=positions[0] if len(positions) == 2 else 0,
        out_w=positions[1] if len(positions) == 2 else 0,
    )


def convolution_values(arrays: Sequence[Array], window: Window, groups: int) -> Array:
    """Cross-correlation of x with w, plus the bias: one product with the columns that the window sees (im2col).

    Source: K. Chellapilla, S. Puri, P. Simard, High Performance Convolutional Neural Networks for Document
    Processing, 2006, section 3. Columns are made for a few output rows at a time, so that they stay small.
    """
    x, w = (matrix_operand(a) for a in arrays[:2])
    kernel, cout = w.shape[2:], w.shape[0]
    positions = window.output("convolution", x.shape[2:], kernel)
    padded = np.pad(x, ((0, 0), (0, 0), *window.padding)) if any(map(any, window.padding)) else x
    filters = w.reshape(groups, cout // groups, -1)
    y = np.empty((x.shape[0], groups, cout // groups, *positions), x.dtype)
    row = x.shape[0] * x.shape[1] * math.prod(kernel) * math.prod(positions[1:])
    step = max(1, _COLUMN_ELEMENTS // row)
    for first in range(0, positions[0], step):
        some = (min(step, positions[0] - first), *positions[1:])
        offset = (first * window.stride[0], *(0 for _ in positions[1:]))
        columns = _columns(padded, window, kernel, some, offset).reshape(x.shape[0], groups, filters.shape[2], -1)
        y[:, :, :, first : first + step] = np.matmul(filters, columns).reshape(*y.shape[:3], *some)
    y = y.reshape(x.shape[0], cout, *positions)
    if len(arrays) == 3:
        y += matrix_operand(arrays[2]).astype(y.dtype).reshape(-1, *(1 for _ in kernel))
    return finish(y, arrays[0])


def _columns(
    padded: Array, window: Window, kernel: Sequence[int], positions: Sequence[int], offset: Sequence[int]
) -> Array:
    """What the window sees at some positions: (batch, channels, places, *positions)."""
    seen = np.empty((*padded.shape[:2], math.prod(kernel), *positions), padded.dtype)
    for place, tap in enumerate(np.ndindex(*kernel)):
        starts = [o + at * d for o, at, d in zip(offset, tap, window.dilation, strict=True)]
        reach = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, positions, window.stride, strict=True)]
        seen[:, :, place] = padded[(slice(None), slice(None), *reach)]
    return seen
