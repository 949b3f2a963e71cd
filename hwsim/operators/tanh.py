"""Hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Tanh"]


@register
@dataclass(frozen=True, slots=True)
class Tanh(Unary):
    """Element-wise tanh(x).

    One special function.
    """

    kind: ClassVar[str] = "tanh"
    flop_per_element: ClassVar[int] = 0
    special_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.tanh(x)
        return y
