"""A tensor repeated along its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Tile"]


@register
@dataclass(frozen=True, slots=True)
class Tile:
    """x repeated ``repeats`` times, one number an axis."""

    kind: ClassVar[str] = "tile"
    repeats: tuple[int, ...] = ()

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The enlarged shape; raises ShapeError unless there is one repeat of at least 1 an axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        if len(self.repeats) != len(x.shape) or any(n < 1 for n in self.repeats):
            raise ShapeError(
                f"tile: give one repeat of at least 1 for each axis of {list(x.shape)}, not {self.repeats}"
            )
        return (TensorType(tuple(d * n for d, n in zip(x.shape, self.repeats, strict=True)), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move; none (a view) when nothing is repeated."""
        repeated = [axis for axis, n in enumerate(self.repeats) if n > 1]
        if not repeated:
            return ()
        (x,) = inputs
        return (move_work(self.kind, inputs, outputs[0], contiguous=fills_lines(x, x.shape[repeated[-1] :])),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The repeated values."""
        return (np.tile(arrays[0], self.repeats),)
