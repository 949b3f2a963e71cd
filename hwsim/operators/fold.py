"""Columns summed into an image, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.layout import move_work
from hwsim.operators.precision import narrow, widen
from hwsim.operators.unfold import window_counts

__all__ = ["Fold"]


@register
@dataclass(frozen=True, slots=True)
class Fold:
    """Columns (batch, channels kh kw, windows) summed where their windows lie on an image of ``size``.

    The transpose of ``unfold`` (torch.nn.Fold, col2im).
    """

    kind: ClassVar[str] = "fold"
    size: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels, height, width); raises ShapeError unless there is one column for each window."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        expect_rank(self.kind, "x", x, 3, 3)
        expect_positive(self.kind, "kernel", self.kernel, 2)
        expect_positive(self.kind, "stride", self.stride, 2)
        rows, cols = window_counts(self.size, self.kernel, self.stride, self.padding)
        area = self.kernel[0] * self.kernel[1]
        if x.shape[1] % area or x.shape[2] != max(rows, 0) * max(cols, 0):
            raise ShapeError(
                f"fold: columns {list(x.shape)} are not {rows} x {cols} windows of {self.kernel} on {self.size}"
            )
        return (TensorType((x.shape[0], x.shape[1] // area, *self.size), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move: every column is read once, a sum written for each pixel."""
        return (move_work(self.kind, inputs, outputs[0], contiguous=True),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The sums, in float32 (float64 for float64)."""
        (x,) = arrays
        (kh, kw), (above, left), (down, across) = self.kernel, self.padding, self.stride
        rows, cols = window_counts(self.size, self.kernel, self.stride, self.padding)
        parts = widen(x).reshape(x.shape[0], -1, kh, kw, rows, cols)
        image = np.zeros((*parts.shape[:2], self.size[0] + 2 * above, self.size[1] + 2 * left), parts.dtype)
        for i, j in np.ndindex(kh, kw):
            image[:, :, i : i + down * rows : down, j : j + across * cols : across] += parts[:, :, i, j]
        return (narrow(image[:, :, above : above + self.size[0], left : left + self.size[1]], x),)
