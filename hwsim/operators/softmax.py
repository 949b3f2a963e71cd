"""Softmax over one axis."""

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

__all__ = ["Softmax"]


@register
@dataclass(frozen=True, slots=True)
class Softmax:
    """exp(x - max) / sum(exp(x - max)) along ``axis``; ``kept``: in the format of x even under mixed precision."""

    kind: ClassVar[str] = "softmax"
    axis: int = -1
    kept: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the input; raises ShapeError when there is no such axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis_of(self.kind, self.axis, len(x.shape))
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes: a comparison, a difference, exp, a sum and a product an element."""
        return (
            reduce_work(self.kind, inputs, outputs[0], cols=inputs[0].shape[self.axis], passes=2, flop=4, special=1),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, computed in float32 (float64 for float64)."""
        (x,) = arrays
        wide = widen(x)
        powers = np.exp(wide - wide.max(axis=self.axis, keepdims=True))
        return (narrow(powers / powers.sum(axis=self.axis, keepdims=True), x),)
