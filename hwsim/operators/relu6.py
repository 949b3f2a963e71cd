"""Rectified linear unit capped at 6: min(max(x, 0), 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Unary

__all__ = ["Relu6"]


@register
@dataclass(frozen=True, slots=True)
class Relu6(Unary):
    """Element-wise min(max(x, 0), 6) (Sandler et al., MobileNetV2, 2018).

    Two comparisons.
    """

    kind: ClassVar[str] = "relu6"
    flop_per_element: ClassVar[int] = 2
    special_per_element: ClassVar[int] = 0

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        y: Array = np.clip(x, 0, 6)
        return y
