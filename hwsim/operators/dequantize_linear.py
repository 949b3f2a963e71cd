"""The integers (or narrow floats) of a grid to values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import AUTO, TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.elementwise import map_work
from hwsim.operators.grid import Grid, decoded

__all__ = ["DequantizeLinear"]


@register
@dataclass(frozen=True, slots=True)
class DequantizeLinear:
    """scale (q - zero) with the fixed scales of ``grid``; ``format`` is that of the result ('auto': of activations)."""

    kind: ClassVar[str] = "dequantize_linear"
    grid: Grid = field(default_factory=lambda: Grid(scale=(1.0,)))
    format: str = AUTO

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The input's shape in ``format``; raises ShapeError for a grid whose scales nobody fixed."""
        expect_inputs(self.kind, inputs, 1)
        if not self.grid.scale:
            raise ShapeError("dequantize_linear: needs a grid of fixed scales; Grid.fixed makes one from a range")
        return (TensorType(inputs[0].shape, self.format, inputs[0].weight, inputs[0].storage),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: a difference and a product an element."""
        return (map_work(self.kind, inputs, outputs[0], 2, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values in float32 (float64 for float64)."""
        (q,) = arrays
        like = np.empty(q.shape, np.float64 if q.dtype == np.float64 else np.float32)
        scale, zero = self.grid.scales(like)
        return (decoded(q, scale, zero),)
