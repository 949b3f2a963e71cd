"""Every rank's part, joined, on every rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.checks import axis_of
from hwsim.operators.collectives import Exchange

__all__ = ["AllGather"]


@register
@dataclass(frozen=True, slots=True)
class AllGather(Exchange):
    """Every rank gets all ranks' tensors joined along ``axis``."""

    kind: ClassVar[str] = "all_gather"
    axis: int = 0

    def shape(self, old: tuple[int, ...]) -> tuple[int, ...]:
        """``axis`` grows by the number of participants; raises ShapeError when there is no such axis."""
        axis = axis_of(self.kind, self.axis, len(old))
        return (*old[:axis], old[axis] * self.participants, *old[axis + 1 :])

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """All parts joined in the order of the ranks, everywhere."""
        return [np.concatenate(parts, self.axis)] * len(parts)
