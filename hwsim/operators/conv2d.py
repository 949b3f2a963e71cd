"""Convolution over images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.convolution import Window, both_sides, convolution_type, convolution_values, convolution_work

__all__ = ["Conv2d"]


@register
@dataclass(frozen=True, slots=True)
class Conv2d:
    """Cross-correlation of x (batch, cin, height, width) with w (cout, cin / groups, kh, kw) [+ bias (cout)].

    ``padding`` is two numbers, or four: (top, left, bottom, right).
    """

    kind: ClassVar[str] = "conv2d"
    kernels: ClassVar[tuple[str, ...]] = ("conv2d", "depthwise_conv2d")
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def window(self) -> Window:
        """How the window walks; raises ShapeError for a padding of the wrong length."""
        return Window(self.stride, both_sides(self.kind, self.padding, 2), self.dilation)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, cout, height, width) in the format of x; raises ShapeError when channels or window do not fit."""
        return (convolution_type(self.kind, inputs, self.window, self.groups),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One implicit Gemm labelled ``conv2d``, or ``depthwise_conv2d`` when each input channel is a group."""
        kernel = "depthwise_conv2d" if 1 < self.groups == inputs[0].shape[1] else self.kind
        return (convolution_work(kernel, inputs, outputs[0], self.window, self.groups),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, summed in float32 (float64 for float64, int32 for integers)."""
        return (convolution_values(arrays, self.window, self.groups),)
