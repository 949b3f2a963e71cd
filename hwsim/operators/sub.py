"""Difference of two tensors, or of a tensor and a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["Sub"]


@register
@dataclass(frozen=True, slots=True)
class Sub(Binary):
    """a - b with broadcasting; one subtraction.

    Takes two inputs, or one and the attribute ``scalar``.
    """

    kind: ClassVar[str] = "sub"
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 0

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        y: Array = a - b
        return y
