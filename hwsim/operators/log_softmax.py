"""Logarithm of softmax over one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.operators.precision import narrow, widen
from hwsim.operators.softmax import Softmax

__all__ = ["LogSoftmax"]


@register
@dataclass(frozen=True, slots=True)
class LogSoftmax(Softmax):
    """x - max - log(sum(exp(x - max))) along ``axis``; as much work as softmax, a difference in place of a product."""

    kind: ClassVar[str] = "log_softmax"

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, computed in float32 (float64 for float64)."""
        (x,) = arrays
        wide = widen(x)
        shifted = wide - wide.max(axis=self.axis, keepdims=True)
        return (narrow(shifted - np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True)), x),)
