"""A matrix with everything above or below a diagonal set to zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.layout import move_work

__all__ = ["Triangle"]


@register
@dataclass(frozen=True, slots=True)
class Triangle:
    """x (..., rows, columns), zero below (``upper``) or above the ``diagonal``, counted from the main one upwards."""

    kind: ClassVar[str] = "triangle"
    upper: bool = True
    diagonal: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the input; raises ShapeError unless it has rows and columns."""
        expect_inputs(self.kind, inputs, 1)
        expect_rank(self.kind, "x", inputs[0], 2)
        return (TensorType(inputs[0].shape, inputs[0].format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One contiguous Move."""
        return (move_work(self.kind, inputs, outputs[0], contiguous=True),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The remaining values."""
        (x,) = arrays
        return ((np.triu if self.upper else np.tril)(x, self.diagonal),)
