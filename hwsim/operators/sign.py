"""Absolute value, sign and negation: functions of the sign, which integers keep exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from hwsim.graph.operator import register
from hwsim.operators.elementwise import Modal

__all__ = ["Sign"]


@register
@dataclass(frozen=True, slots=True)
class Sign(Modal):
    """Element-wise absolute value (``abs``), sign (-1, 0, 1) or negation, by ``mode``.

    One operation.
    """

    kind: ClassVar[str] = "sign"
    flop_per_element: ClassVar[int] = 1
    modes: ClassVar[Mapping[str, Any]] = MappingProxyType({"sign": np.sign, "abs": np.abs, "negate": np.negative})
    mode: str = "sign"
