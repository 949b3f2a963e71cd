"""Exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Elu"]


@register
@dataclass(frozen=True, slots=True)
class Elu(Unary):
    """Element-wise x for x > 0, else ``alpha`` (exp(x) - 1) (Clevert et al., 2015).

    A comparison, a difference, a product and exp.
    """

    kind: ClassVar[str] = "elu"
    flop_per_element: ClassVar[int] = 3
    special_per_element: ClassVar[int] = 1
    alpha: float = 1.0

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.where(x > 0, x, np.asarray(self.alpha, x.dtype) * np.expm1(np.minimum(x, 0)))
        return y
