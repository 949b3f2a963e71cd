"""SwiGLU's middle: silu(gate) x up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.operators.elementwise import Gated
from hwsim.operators.functions import logistic

__all__ = ["SiluMul"]


@register
@dataclass(frozen=True, slots=True)
class SiluMul(Gated):
    """silu(gate) x up for inputs (gate, up) of one shape.

    SiLU's counts and a product; exp and a reciprocal.
    """

    kind: ClassVar[str] = "silu_mul"
    flop_per_element: ClassVar[int] = 4
    special_per_element: ClassVar[int] = 2

    def value(self, gate: Array) -> Array:
        """silu(gate)."""
        return gate * logistic(gate)
