"""The larger or the smaller of two tensors, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Binary

__all__ = ["Extreme"]


@register
@dataclass(frozen=True, slots=True)
class Extreme(Binary):
    """The larger of a and b (``mode`` 'max') or the smaller ('min'), with broadcasting.

    Takes two inputs, or one and the attribute ``scalar``; one comparison.
    """

    kind: ClassVar[str] = "extreme"
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 0
    mode: str = "max"

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        y: Array = np.maximum(a, b) if self.mode == "max" else np.minimum(a, b)
        return y
