"""Rectified linear unit: max(x, 0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Relu"]


@register
@dataclass(frozen=True, slots=True)
class Relu(Unary):
    """Element-wise max(x, 0).

    One comparison.
    """

    kind: ClassVar[str] = "relu"
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 0

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.maximum(x, 0)
        return y
