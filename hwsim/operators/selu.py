"""Scaled exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Selu"]

_ALPHA = 1.6732632423543772
_SCALE = 1.0507009873554805


@register
@dataclass(frozen=True, slots=True)
class Selu(Unary):
    """Element-wise scale x for x > 0, else scale alpha (exp(x) - 1).

    The constants keep zero mean and unit variance (Klambauer et al., Self-Normalizing Neural Networks, 2017,
    equation 2). A comparison, a difference, two products and exp.
    """

    kind: ClassVar[str] = "selu"
    flop_per_element: ClassVar[int] = 4
    special_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        negative = np.asarray(_ALPHA, x.dtype) * np.expm1(np.minimum(x, 0))
        y: Array = np.asarray(_SCALE, x.dtype) * np.where(x > 0, x, negative)
        return y
