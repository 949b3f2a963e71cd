"""Sigmoid linear unit (swish): x sigmoid(x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary
from hwsim.operators.functions import logistic

__all__ = ["Silu"]


@register
@dataclass(frozen=True, slots=True)
class Silu(Unary):
    """Element-wise x / (1 + exp(-x)) (Elfwing et al., 2017).

    Sigmoid's two sums and a product; exp and a reciprocal.
    """

    kind: ClassVar[str] = "silu"
    flop_per_element: ClassVar[int] = 3
    special_per_element: ClassVar[int] = 2

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = x * logistic(x)
        return y
