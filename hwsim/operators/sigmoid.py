"""Logistic function 1 / (1 + exp(-x))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary
from hwsim.operators.functions import logistic

__all__ = ["Sigmoid"]


@register
@dataclass(frozen=True, slots=True)
class Sigmoid(Unary):
    """Element-wise 1 / (1 + exp(-x)).

    A negation and a sum; exp and a reciprocal.
    """

    kind: ClassVar[str] = "sigmoid"
    flop_per_element: ClassVar[int] = 2
    special_per_element: ClassVar[int] = 2

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = logistic(x)
        return y
