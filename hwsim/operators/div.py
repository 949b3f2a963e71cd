"""Quotient of two tensors, or of a tensor and a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["Div"]


@register
@dataclass(frozen=True, slots=True)
class Div(Binary):
    """a / b with broadcasting; a reciprocal (special) and a product. Quotients of integers are cut towards zero.

    Takes two inputs, or one and the attribute ``scalar``.
    """

    kind: ClassVar[str] = "div"
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 1

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        if np.issubdtype(a.dtype, np.integer) and np.issubdtype(b.dtype, np.integer):
            whole: Array = (np.abs(a) // np.abs(b)) * np.sign(a) * np.sign(b)
            return whole
        y: Array = a / b
        return y
