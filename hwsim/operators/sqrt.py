"""Square root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Sqrt"]


@register
@dataclass(frozen=True, slots=True)
class Sqrt(Unary):
    """Element-wise square root.

    One special function.
    """

    kind: ClassVar[str] = "sqrt"
    flop_per_element: ClassVar[int] = 0
    special_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.sqrt(x)
        return y
