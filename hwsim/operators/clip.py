"""Values limited to a range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import ExactUnary

__all__ = ["Clip"]


@register
@dataclass(frozen=True, slots=True)
class Clip(ExactUnary):
    """Element-wise min(max(x, low), high); a limit of None is none, and where they cross ``high`` holds.

    Two comparisons.
    """

    kind: ClassVar[str] = "clip"
    flop_per_element: ClassVar[int] = 2
    low: float | None = None
    high: float | None = None

    def value(self, x: Array) -> Array:
        """The function of an array."""
        y = x if self.low is None else np.maximum(x, np.asarray(self.low).astype(x.dtype))
        return y if self.high is None else np.minimum(y, np.asarray(self.high).astype(x.dtype))
