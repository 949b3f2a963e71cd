"""A tensor sent to the next rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.collectives import Exchange

__all__ = ["Send"]


@register
@dataclass(frozen=True, slots=True)
class Send(Exchange):
    """Every rank of a group sends its tensor to the next, the last to the first: what it gets is its neighbour's.

    ``beside``: the tensor travels while the rank computes; else the rank waits.
    """

    kind: ClassVar[str] = "send"
    beside: bool = False

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """For each rank what the one before it had; the first gets the last one's."""
        return [*parts[-1:], *parts[:-1]]
