"""Each rank's j-th part goes to rank j."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.operators.collectives import Exchange

__all__ = ["AllToAll"]


@register
@dataclass(frozen=True, slots=True)
class AllToAll(Exchange):
    """Cuts the tensor, row-major, into one part a rank; rank j gets everybody's j-th part."""

    kind: ClassVar[str] = "all_to_all"

    def shape(self, old: tuple[int, ...]) -> tuple[int, ...]:
        """Unchanged; raises ShapeError when the participants do not divide the elements."""
        if old == () or np.prod(old) % self.participants:
            raise ShapeError(f"{self.kind}: {self.participants} participants do not divide the elements of {list(old)}")
        return old

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """For rank j everybody's j-th part, in the order of the ranks."""
        cut = [part.reshape(self.participants, -1) for part in parts]
        return [np.stack([part[j] for part in cut]).reshape(parts[0].shape) for j in range(len(parts))]
