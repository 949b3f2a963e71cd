"""Sigmoid approximation of GELU: x sigmoid(1.702 x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary
from hwsim.operators.functions import logistic

__all__ = ["QuickGelu"]


@register
@dataclass(frozen=True, slots=True)
class QuickGelu(Unary):
    """Element-wise x sigmoid(1.702 x) (Hendrycks and Gimpel, 2016, section 2; used by CLIP).

    SiLU's counts and a product.
    """

    kind: ClassVar[str] = "quick_gelu"
    flop_per_element: ClassVar[int] = 4
    special_per_element: ClassVar[int] = 2

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = x * logistic(np.asarray(1.702, x.dtype) * x)
        return y
