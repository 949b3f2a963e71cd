"""Sum over all ranks, one part of it on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.operators.checks import axis_of
from hwsim.operators.collectives import Exchange

__all__ = ["ReduceScatter"]


@register
@dataclass(frozen=True, slots=True)
class ReduceScatter(Exchange):
    """Each rank gets its part, along ``axis``, of the sum of all ranks' tensors."""

    kind: ClassVar[str] = "reduce_scatter"
    axis: int = 0

    def shape(self, old: tuple[int, ...]) -> tuple[int, ...]:
        """``axis`` shrinks by the number of participants; raises ShapeError when it does not divide."""
        axis = axis_of(self.kind, self.axis, len(old))
        if old[axis] % self.participants:
            raise ShapeError(
                f"{self.kind}: {self.participants} participants do not divide axis {self.axis} of {list(old)}"
            )
        return (*old[:axis], old[axis] // self.participants, *old[axis + 1 :])

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """Each rank's part of the sum."""
        total = np.sum(np.stack(parts), axis=0, dtype=parts[0].dtype)
        return np.split(total, self.participants, self.axis)
