"""Leaky rectified linear unit with learned slopes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["PRelu"]


@register
@dataclass(frozen=True, slots=True)
class PRelu(Binary):
    """x for x > 0, else slope x, for inputs x and slope that broadcast (He et al., 2015).

    One product, one comparison.
    """

    kind: ClassVar[str] = "prelu"
    flop_per_element: ClassVar[int] = 2
    special_per_element: ClassVar[int] = 0

    def value(self, a: Array, b: Array) -> Array:
        """The function of x and the slope."""
        y: Array = np.where(a > 0, a, a * b)
        return y
