"""Self-gated smooth rectifier: x tanh(softplus(x))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Mish"]


@register
@dataclass(frozen=True, slots=True)
class Mish(Unary):
    """Element-wise x tanh(log(1 + exp(x))) (Misra, 2019).

    A sum, a product and three special functions.
    """

    kind: ClassVar[str] = "mish"
    flop_per_element: ClassVar[int] = 2
    special_per_element: ClassVar[int] = 3

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = x * np.tanh(np.logaddexp(x, np.asarray(0, x.dtype)))
        return y
