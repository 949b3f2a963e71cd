"""Rational sigmoid: x / (1 + |x|)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Softsign"]


@register
@dataclass(frozen=True, slots=True)
class Softsign(Unary):
    """Element-wise x / (1 + abs(x)) (Bergstra et al., 2009).

    An absolute value, a sum, a product and a reciprocal.
    """

    kind: ClassVar[str] = "softsign"
    flop_per_element: ClassVar[int] = 3
    special_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = x / (1 + np.abs(x))
        return y
