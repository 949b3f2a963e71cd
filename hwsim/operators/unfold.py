"""Windows of an image as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.layout import move_work

__all__ = ["Unfold", "window_counts"]


@register
@dataclass(frozen=True, slots=True)
class Unfold:
    """Each window of x (batch, channels, height, width) as a column: (batch, channels kh kw, windows).

    Windows start every ``stride`` pixels on x with a border of ``padding`` zeros (torch.nn.Unfold, im2col).
    """

    kind: ClassVar[str] = "unfold"
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels kh kw, windows); raises ShapeError when no window fits."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        expect_rank(self.kind, "x", x, 4, 4)
        expect_positive(self.kind, "kernel", self.kernel, 2)
        expect_positive(self.kind, "stride", self.stride, 2)
        rows, cols = window_counts(x.shape[2:], self.kernel, self.stride, self.padding)
        if rows < 1 or cols < 1:
            raise ShapeError(f"unfold: a window of {self.kernel} does not fit {list(x.shape)} padded by {self.padding}")
        columns = (x.shape[0], x.shape[1] * self.kernel[0] * self.kernel[1], rows * cols)
        return (TensorType(columns, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move of what is written, whose reads overlap in the cache."""
        return (move_work(self.kind, inputs, outputs[0], contiguous=True),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The columns."""
        (x,) = arrays
        (above, left), (down, across) = self.padding, self.stride
        x = np.pad(x, ((0, 0), (0, 0), (above, above), (left, left)))
        seen = sliding_window_view(x, self.kernel, axis=(2, 3))[:, :, ::down, ::across]
        batch, channels, rows, cols = seen.shape[:4]
        return (seen.transpose(0, 1, 4, 5, 2, 3).reshape(batch, channels * seen.shape[4] * seen.shape[5], rows * cols),)


def window_counts(
    size: Sequence[int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> tuple[int, int]:
    """How many windows of ``kernel`` lie below each other and side by side on an image with that border."""
    down, across = ((n + 2 * p - k) // s + 1 for n, k, s, p in zip(size, kernel, stride, padding, strict=True))
    return down, across
