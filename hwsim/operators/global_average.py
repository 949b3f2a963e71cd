"""Mean over all positions of each channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["GlobalAverage"]


@register
@dataclass(frozen=True, slots=True)
class GlobalAverage:
    """Mean of x (batch, channels, ...) over everything but the first two axes: (batch, channels)."""

    kind: ClassVar[str] = "global_average"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels) in the format of x; raises ShapeError when there is no position to average over."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        expect_rank(self.kind, "x", x, 3)
        return (TensorType(x.shape[:2], x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a sum an element."""
        cols = math.prod(inputs[0].shape[2:])
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=1, flop=1),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, summed in float32 (float64 for float64)."""
        (x,) = arrays
        return (narrow(widen(x).mean(axis=tuple(range(2, x.ndim))), x),)
