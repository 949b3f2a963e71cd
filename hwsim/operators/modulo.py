"""Remainder of a division."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["Modulo"]


@register
@dataclass(frozen=True, slots=True)
class Modulo(Binary):
    """a - b floor(a / b) with broadcasting; with ``truncate`` the quotient is cut towards zero (C's fmod).

    Takes two inputs, or one and the attribute ``scalar``: a quotient, a rounding, a product and a difference.
    """

    kind: ClassVar[str] = "modulo"
    flop_per_element: ClassVar[int] = 3
    special_per_element: ClassVar[int] = 1
    truncate: bool = False

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        y: Array = np.fmod(a, b) if self.truncate else np.mod(a, b)
        return y
