"""Power of two tensors, or of a tensor and a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.elementwise import Binary, map_work

__all__ = ["Pow"]


@register
@dataclass(frozen=True, slots=True)
class Pow(Binary):
    """a ^ b with broadcasting: exp(b log a), a product and two special functions.

    Takes two inputs, or one and the attribute ``scalar``.
    """

    kind: ClassVar[str] = "pow"
    kernels: ClassVar[tuple[str, ...]] = ("pow", "pow_scalar")
    flop_per_element: ClassVar[int] = 1
    special_per_element: ClassVar[int] = 2

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map, labelled ``pow_scalar`` where the exponent is a number: a small one needs no special function."""
        kernel = self.kind if self.scalar is None else "pow_scalar"
        return (map_work(kernel, inputs, outputs[0], self.flop_per_element, self.special_per_element),)

    def value(self, a: Array, b: Array) -> Array:
        """The function of two arrays that broadcast."""
        y: Array = np.power(a, b)
        return y
