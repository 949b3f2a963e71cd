"""Error function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary
from hwsim.operators.functions import erf

__all__ = ["Erf"]


@register
@dataclass(frozen=True, slots=True)
class Erf(Unary):
    """Element-wise error function.

    One special function.
    """

    kind: ClassVar[str] = "erf"
    flop_per_element: ClassVar[int] = 0
    special_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = erf(x)
        return y
