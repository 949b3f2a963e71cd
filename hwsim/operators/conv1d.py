"""Convolution over a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.convolution import Window, both_sides, convolution_type, convolution_values, convolution_work

__all__ = ["Conv1d"]


@register
@dataclass(frozen=True, slots=True)
class Conv1d:
    """Cross-correlation of x (batch, cin, length) with w (cout, cin / groups, kw) [+ bias (cout)].

    ``padding`` is one number, or (before, after).
    """

    kind: ClassVar[str] = "conv1d"
    stride: int = 1
    padding: int | tuple[int, int] = 0
    dilation: int = 1
    groups: int = 1

    @property
    def window(self) -> Window:
        """How the window walks; raises ShapeError for a padding of the wrong length."""
        padding = (self.padding,) if isinstance(self.padding, int) else self.padding
        return Window((self.stride,), both_sides(self.kind, padding, 1), (self.dilation,))

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, cout, length) in the format of x; raises ShapeError when channels or window do not fit."""
        return (convolution_type(self.kind, inputs, self.window, self.groups),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One implicit Gemm; the bias is added in its epilogue."""
        return (convolution_work(self.kind, inputs, outputs[0], self.window, self.groups),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, summed in float32 (float64 for float64, int32 for integers)."""
        return (convolution_values(arrays, self.window, self.groups),)
