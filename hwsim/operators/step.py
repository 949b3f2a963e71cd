"""Heaviside's step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import ExactUnary

__all__ = ["Step"]


@register
@dataclass(frozen=True, slots=True)
class Step(ExactUnary):
    """Element-wise 1 for x >= 0, else 0: the activation of a threshold unit.

    One comparison.
    """

    kind: ClassVar[str] = "step"
    flop_per_element: ClassVar[int] = 1

    def value(self, x: Array) -> Array:
        """The function of an array."""
        y: Array = (x >= 0).astype(x.dtype)
        return y
