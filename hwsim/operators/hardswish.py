"""Piecewise linear swish: x hardsigmoid(x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["HardSwish"]


@register
@dataclass(frozen=True, slots=True)
class HardSwish(Unary):
    """Element-wise x relu6(x + 3) / 6 (Howard et al., MobileNetV3, 2019, section 5.2).

    Hardsigmoid's counts and a product.
    """

    kind: ClassVar[str] = "hardswish"
    flop_per_element: ClassVar[int] = 5
    special_per_element: ClassVar[int] = 0

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = x * (np.clip(x + 3, 0, 6) / 6)
        return y
