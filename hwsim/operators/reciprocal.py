"""Reciprocal: 1 / x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Reciprocal"]


@register
@dataclass(frozen=True, slots=True)
class Reciprocal(Unary):
    """Element-wise 1 / x.

    One special function.
    """

    kind: ClassVar[str] = "reciprocal"
    flop_per_element: ClassVar[int] = 0
    special_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = 1 / x
        return y
