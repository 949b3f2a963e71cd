"""Rounding to whole numbers: down, up, or to the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import ExactUnary

__all__ = ["Rounding"]


@register
@dataclass(frozen=True, slots=True)
class Rounding(ExactUnary):
    """Element-wise floor, ceiling or nearest whole number (``nearest``, ties to even), by ``mode``.

    One operation.
    """

    kind: ClassVar[str] = "rounding"
    flop_per_element: ClassVar[int] = 1
    modes: ClassVar[Mapping[str, Any]] = MappingProxyType({"nearest": np.rint, "floor": np.floor, "ceil": np.ceil})
    mode: str = "nearest"

    def value(self, x: Array) -> Array:
        """The function of an array."""
        y: Array = self.modes[self.mode](x)
        return y
