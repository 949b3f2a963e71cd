"""Piecewise linear sigmoid: clip(x / 6 + 1/2, 0, 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["HardSigmoid"]


@register
@dataclass(frozen=True, slots=True)
class HardSigmoid(Unary):
    """Element-wise relu6(x + 3) / 6 (Howard et al., MobileNetV3, 2019).

    A product, a sum, two comparisons.
    """

    kind: ClassVar[str] = "hardsigmoid"
    flop_per_element: ClassVar[int] = 4
    special_per_element: ClassVar[int] = 0

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.clip(x + 3, 0, 6) / 6
        return y
