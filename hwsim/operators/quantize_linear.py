"""Values to the integers (or narrow floats) of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.elementwise import map_work
from hwsim.operators.grid import Grid
from hwsim.operators.precision import widen

__all__ = ["QuantizeLinear"]


@register
@dataclass(frozen=True, slots=True)
class QuantizeLinear:
    """saturate(round(x / scale) + zero), ties to even, with the fixed scales of ``grid``.

    A weight is rounded once, when a model is prepared: for it this is a view, which asks for no Work.
    """

    kind: ClassVar[str] = "quantize_linear"
    grid: Grid = field(default_factory=lambda: Grid(scale=(1.0,)))

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The input's shape in the grid's format; raises ShapeError for a grid whose scales nobody fixed."""
        expect_inputs(self.kind, inputs, 1)
        if not self.grid.scale:
            raise ShapeError("quantize_linear: needs a grid of fixed scales; Grid.fixed makes one from a range")
        return (TensorType(inputs[0].shape, self.grid.stored, inputs[0].weight, inputs[0].storage),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: a product with 1 / scale, a rounding, a sum and two comparisons; nothing for a weight."""
        return () if inputs[0].weight else (map_work(self.kind, inputs, outputs[0], 5, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Integers in int8 or the like (narrow floats in float32), rounded in float32 (float64 for float64)."""
        numbers, _, _ = self.grid.encode(widen(arrays[0]))
        return (np.asarray(numbers),)
