"""Convolution over clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.convolution import Window, both_sides, convolution_type, convolution_values, convolution_work

__all__ = ["Conv3d"]


@register
@dataclass(frozen=True, slots=True)
class Conv3d:
    """Cross-correlation of x (batch, cin, frames, height, width) with w (cout, cin / groups, kd, kh, kw) [+ bias].

    ``padding`` is three numbers, or six: the three befores, then the three afters (causal video
    autoencoders pad frames before only).
    """

    kind: ClassVar[str] = "conv3d"
    stride: tuple[int, int, int] = (1, 1, 1)
    padding: tuple[int, ...] = (0, 0, 0)
    dilation: tuple[int, int, int] = (1, 1, 1)
    groups: int = 1

    @property
    def window(self) -> Window:
        """How the window walks; raises ShapeError for a padding of the wrong length."""
        return Window(self.stride, both_sides(self.kind, self.padding, 3), self.dilation)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, cout, frames, height, width) in the format of x; raises ShapeError when x does not fit w."""
        return (convolution_type(self.kind, inputs, self.window, self.groups),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One implicit Gemm; the bias is added in its epilogue."""
        return (convolution_work(self.kind, inputs, outputs[0], self.window, self.groups),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, summed in float32 (float64 for float64, int32 for integers)."""
        return (convolution_values(arrays, self.window, self.groups),)
