"""Sum over all ranks, on every rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.collectives import Exchange

__all__ = ["AllReduce"]


@register
@dataclass(frozen=True, slots=True)
class AllReduce(Exchange):
    """Every rank gets the sum of all ranks' tensors."""

    kind: ClassVar[str] = "all_reduce"

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """``participants`` times the array."""
        (x,) = arrays
        return (x * np.asarray(self.participants, x.dtype),)
