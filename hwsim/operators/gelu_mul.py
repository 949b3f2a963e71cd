"""GEGLU's middle: gelu(gate) x up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.elementwise import Gated, map_work
from hwsim.operators.functions import gelu, gelu_tanh

__all__ = ["GeluMul"]


@register
@dataclass(frozen=True, slots=True)
class GeluMul(Gated):
    """gelu(gate) x up for inputs (gate, up) of one shape; ``approximate`` takes GELU's tanh formula.

    GELU's counts and a product.
    """

    kind: ClassVar[str] = "gelu_mul"
    flop_per_element: ClassVar[int] = 5
    special_per_element: ClassVar[int] = 1
    approximate: bool = False

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map with the counts of the formula chosen."""
        flop = 9 if self.approximate else self.flop_per_element
        return (map_work(self.kind, inputs, outputs[0], flop, self.special_per_element),)

    def value(self, gate: Array) -> Array:
        """gelu(gate)."""
        return gelu_tanh(gate) if self.approximate else gelu(gate)
