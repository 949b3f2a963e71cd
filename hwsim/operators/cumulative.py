"""Running sums and products along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["Cumulative"]


@register
@dataclass(frozen=True, slots=True)
class Cumulative:
    """Sum (``mode`` 'sum') or product of all elements up to each one along ``axis``.

    ``exclusive`` leaves the element itself out, ``reverse`` starts at the end.
    """

    kind: ClassVar[str] = "cumulative"
    axis: int = -1
    mode: str = "sum"
    exclusive: bool = False
    reverse: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the input; raises ShapeError for an unknown mode or axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis_of(self.kind, self.axis, len(x.shape))
        if self.mode not in ("sum", "prod"):
            raise ShapeError(f"cumulative: mode is 'sum' or 'prod', not '{self.mode}'")
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of one pass: a sum or product an element."""
        return (reduce_work(self.kind, inputs, outputs[0], cols=inputs[0].shape[self.axis], passes=1, flop=1),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, summed in float32 (float64 for float64, integers exactly)."""
        (x,) = arrays
        wide = widen(x) if np.issubdtype(x.dtype, np.floating) else x
        seen = np.flip(wide, self.axis) if self.reverse else wide
        run = (np.cumsum if self.mode == "sum" else np.cumprod)(seen, axis=self.axis, dtype=seen.dtype)
        if self.exclusive:
            run = np.roll(run, 1, self.axis)
            first = [slice(None)] * x.ndim
            first[self.axis] = slice(0, 1)
            run[tuple(first)] = 0 if self.mode == "sum" else 1
        return (narrow(np.flip(run, self.axis) if self.reverse else run, x),)
