"""Smooth rectifier: log(1 + exp(x))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Softplus"]


@register
@dataclass(frozen=True, slots=True)
class Softplus(Unary):
    """Element-wise log(1 + exp(x)) (Dugas et al., 2000).

    A sum and two special functions.
    """

    kind: ClassVar[str] = "softplus"
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 2

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.logaddexp(x, np.asarray(0, x.dtype))
        return y
