"""Gaussian error linear unit: x Phi(x)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.elementwise import Unary, map_work
from hwsim.operators.functions import gelu, gelu_tanh

__all__ = ["Gelu"]


@register
@dataclass(frozen=True, slots=True)
class Gelu(Unary):
    """Element-wise x Phi(x); ``approximate`` takes the tanh formula (Hendrycks and Gimpel, 2016).

    Exact: a scaling, a sum, two products, and erf. Approximate: eight plain operations and tanh. ``written_out``: the
    model's code spells the formula, so frameworks that run kernels one by one run it so (pass ``spell_gelu``).
    """

    kind: ClassVar[str] = "gelu"
    flop_per_element: ClassVar[int] = 4
    special_per_element: ClassVar[int] = 1
    approximate: bool = False
    written_out: bool = False

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map with the counts of the formula chosen."""
        flop = 8 if self.approximate else self.flop_per_element
        return (map_work(self.kind, inputs, outputs[0], flop, self.special_per_element),)

    def value(self, x: Array) -> Array:
        """The function of an array of floats."""
        return gelu_tanh(x) if self.approximate else gelu(x)
