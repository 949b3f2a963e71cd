"""A tensor sent from one device to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.collectives import Exchange

__all__ = ["Send"]


@register
@dataclass(frozen=True, slots=True)
class Send(Exchange):
    """The tensor, on the receiving rank."""

    kind: ClassVar[str] = "send"

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The same values."""
        return arrays
