"""Leaky rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["LeakyRelu"]


@register
@dataclass(frozen=True, slots=True)
class LeakyRelu(Unary):
    """Element-wise x for x > 0, else ``slope`` x.

    One product, one comparison.
    """

    kind: ClassVar[str] = "leaky_relu"
    flop_per_element: ClassVar[int] = 2
    special_per_element: ClassVar[int] = 0
    slope: float = 0.01

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.where(x > 0, x, np.asarray(self.slope, x.dtype) * x)
        return y
