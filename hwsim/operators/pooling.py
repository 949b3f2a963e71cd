"""Maximum and average over a window of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.convolution import both_sides
from hwsim.operators.precision import narrow, widen

__all__ = ["Pool2d"]


@register
@dataclass(frozen=True, slots=True)
class Pool2d:
    """Maximum or average of x (batch, channels, height, width) over a window.

    ``stride`` defaults to the window; ``padding`` is two numbers or four: (top, left, bottom, right). Padding
    never counts: the maximum ignores it and the average divides by real elements (ONNX ``count_include_pad=0``).
    ``ceil`` keeps a last partial window, provided it starts on an element or on the padding before it.
    """

    kind: ClassVar[str] = "pooling"
    mode: str = "max"
    kernel: tuple[int, int] = (2, 2)
    stride: tuple[int, int] | None = None
    padding: tuple[int, ...] = (0, 0)
    ceil: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels, positions down, positions across); raises ShapeError when the window does not fit."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        expect_rank(self.kind, "x", x, 4, 4)
        if self.mode not in ("max", "average"):
            raise ShapeError(f"pooling: mode is 'max' or 'average', not '{self.mode}'")
        expect_positive(self.kind, "kernel", self.kernel, 2)
        expect_positive(self.kind, "stride", self.stride or self.kernel, 2)
        positions = self._positions(x.shape[2:])
        if min(positions) < 1:
            raise ShapeError(
                f"pooling: a window of {self.kernel} does not fit {list(x.shape)} padded by {self.padding}"
            )
        return (TensorType((*x.shape[:2], *positions), x.format),)

    def _positions(self, sizes: Sequence[int]) -> tuple[int, ...]:
        result = []
        padding = both_sides(self.kind, self.padding, 2)
        for size, k, s, (before, after) in zip(sizes, self.kernel, self.stride or self.kernel, padding, strict=True):
            room = size + before + after - k
            count = (math.ceil(room / s) if self.ceil else room // s) + 1
            if self.ceil and (count - 1) * s >= size + before:
                count -= 1
            result.append(count)
        return tuple(result)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a row of the window's elements for each output, one comparison or sum an element."""
        (x,), (y,) = inputs, outputs
        return (
            Reduce(
                kernel=self.kind,
                rows=y.elements,
                cols=math.prod(self.kernel),
                passes=1,
                flop_per_element=1,
                special_per_element=0,
                bytes_in=x.size_bytes,
                bytes_out=y.size_bytes,
                format=y.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype; averages in float32 (float64 for float64)."""
        (x,) = arrays
        wide = widen(x)
        stride, (top, left) = self.stride or self.kernel, self.padding[:2]
        sizes = x.shape[2:]
        rows, columns = self._positions(sizes)
        edges = []
        for size, before, count, k, s in zip(sizes, (top, left), (rows, columns), self.kernel, stride, strict=True):
            edges.append((before, max((count - 1) * s + k - size - before, 0)))
        empty = -np.inf if self.mode == "max" else 0
        padded = np.pad(wide, ((0, 0), (0, 0), *edges), constant_values=empty)
        seen = sliding_window_view(padded, self.kernel, (2, 3))[:, :, :: stride[0], :: stride[1]][:, :, :rows, :columns]
        if self.mode == "max":
            return (narrow(seen.max(axis=(4, 5)), x),)
        inside = sliding_window_view(np.pad(np.ones(sizes, wide.dtype), edges), self.kernel)
        real = inside[:: stride[0], :: stride[1]][:rows, :columns].sum(axis=(2, 3))
        return (narrow(seen.sum(axis=(4, 5)) / real, x),)
