"""Rounding to whole numbers: down, up, or to the nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hwsim.graph.operator import register
from hwsim.operators.elementwise import Modal

__all__ = ["Rounding"]


@register
@dataclass(frozen=True, slots=True)
class Rounding(Modal):
    """Element-wise floor, ceiling or nearest whole number (``nearest``, ties to even), by ``mode``.

    One operation.
    """

    kind: ClassVar[str] = "rounding"
    flop_per_element: ClassVar[int] = 1
    modes: ClassVar[Mapping[str, Any]] = MappingProxyType({"nearest": np.rint, "floor": np.floor, "ceil": np.ceil})
    mode: str = "nearest"
