"""Gradient of softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs, expect_shape
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["SoftmaxGrad"]


@register
@dataclass(frozen=True, slots=True)
class SoftmaxGrad:
    """dx = y (dy - sum(dy y)) along ``axis`` for inputs (dy, y), y being softmax(x)."""

    kind: ClassVar[str] = "softmax_grad"
    axis: int = -1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of y; raises ShapeError unless dy has its shape."""
        expect_inputs(self.kind, inputs, 2)
        expect_shape(self.kind, "dy", inputs[0], inputs[1].shape)
        axis_of(self.kind, self.axis, len(inputs[1].shape))
        return (TensorType(inputs[1].shape, inputs[1].format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes: a product and a sum, then a difference and a product an element."""
        return (reduce_work(self.kind, inputs, outputs[0], cols=inputs[1].shape[self.axis], passes=2, flop=4),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of y, computed in float32 (float64 for float64)."""
        dy, y = (widen(a) for a in arrays)
        return (narrow(y * (dy - (dy * y).sum(axis=self.axis, keepdims=True)), arrays[1]),)
