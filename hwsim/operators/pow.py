"""Power of two tensors, or of a tensor and a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["Pow"]


@register
@dataclass(frozen=True, slots=True)
class Pow(Binary):
    """a ^ b with broadcasting: exp(b log a), a product and two special functions.

    Takes two inputs, or one and the attribute ``scalar``.
    """

    kind: ClassVar[str] = "pow"
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 2

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        y: Array = np.power(a, b)
        return y
