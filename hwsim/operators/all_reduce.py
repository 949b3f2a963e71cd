"""Sum over all ranks, on every rank."""

from __future__ import annotations

from collections.abc import Sequence
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

    def exchange(self, parts: Sequence[Array]) -> list[Array]:
        """The sum, everywhere."""
        total: Array = np.sum(np.stack(parts), axis=0, dtype=parts[0].dtype)
        return [total] * len(parts)
