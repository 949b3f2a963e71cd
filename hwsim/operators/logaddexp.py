"""Logarithm of the sum of two exponentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["LogAddExp"]


@register
@dataclass(frozen=True, slots=True)
class LogAddExp(Binary):
    """log(exp a + exp b) with broadcasting; four plain operations, an exponential and a logarithm.

    Takes two inputs, or one and the attribute ``scalar``.
    """

    kind: ClassVar[str] = "logaddexp"
    flop_per_element: ClassVar[int] = 4
    special_per_element: ClassVar[int] = 2

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        y: Array = np.logaddexp(a, b)
        return y
