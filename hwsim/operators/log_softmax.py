"""Logarithm of a softmax over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["LogSoftmax"]


@register
@dataclass(frozen=True, slots=True)
class LogSoftmax:
    """x - max - log(sum(exp(x - max))) along ``axis``."""

    kind: ClassVar[str] = "log_softmax"
    axis: int = -1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the input; raises ShapeError when there is no such axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis_of(self.kind, self.axis, len(x.shape))
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes: a comparison, two differences, exp and a sum an element."""
        return (
            reduce_work(self.kind, inputs, outputs[0], cols=inputs[0].shape[self.axis], passes=2, flop=4, special=1),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, computed in float32 (float64 for float64)."""
        (x,) = arrays
        wide = widen(x)
        shifted = wide - wide.max(axis=self.axis, keepdims=True)
        return (narrow(shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True)), x),)
