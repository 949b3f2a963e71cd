"""A range of one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Slice"]


@register
@dataclass(frozen=True, slots=True)
class Slice:
    """x[start:stop:step] along ``axis``, by Python's rules (negative indices count from the end)."""

    kind: ClassVar[str] = "slice"
    axis: int = 0
    start: int | None = 0
    stop: int | None = None
    step: int = 1

    def _range(self, size: int) -> range:
        return range(*slice(self.start, self.stop, self.step).indices(size))

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shortened shape; raises ShapeError when nothing is left."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if self.step == 0:
            raise ShapeError("slice: step must not be 0")
        left = len(self._range(x.shape[axis]))
        if left == 0:
            raise ShapeError(
                f"slice: {self.start}:{self.stop}:{self.step} leaves nothing of axis {self.axis} of {list(x.shape)}"
            )
        return (TensorType((*x.shape[:axis], left, *x.shape[axis + 1 :]), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move of what is kept; none (a view) for the whole axis or when all axes before it have extent 1."""
        (x,), (y,) = inputs, outputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if self.step == 1 and (x.shape == y.shape or math.prod(x.shape[:axis]) == 1):
            return ()
        run = y.shape[axis:] if self.step == 1 else y.shape[axis + 1 :]
        return (move_work(self.kind, (y,), y, contiguous=fills_lines(y, run)),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The kept values."""
        (x,) = arrays
        axis = axis_of(self.kind, self.axis, x.ndim)
        return (x[(slice(None),) * axis + (slice(self.start, self.stop, self.step),)],)
