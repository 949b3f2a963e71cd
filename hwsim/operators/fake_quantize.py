"""Values moved to the nearest ones a grid has, without leaving their format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.elementwise import map_work
from hwsim.operators.grid import Grid
from hwsim.operators.precision import narrow, widen

__all__ = ["FakeQuantize"]


@register
@dataclass(frozen=True, slots=True)
class FakeQuantize:
    """Quantize and dequantize in one, as weight-only quantization, scaled floats and training with quantization need.

    A weight is rounded once, when a model is prepared: for it this is a view, which asks for no Work.
    """

    kind: ClassVar[str] = "fake_quantize"
    grid: Grid = field(default_factory=Grid)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The input's type; raises ShapeError unless there is exactly one."""
        expect_inputs(self.kind, inputs, 1)
        return (inputs[0],)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: the five operations of quantizing and the two back; nothing for a weight."""
        return () if inputs[0].weight else (map_work(self.kind, inputs, outputs[0], 7, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, rounded in float32 (float64 for float64)."""
        (x,) = arrays
        return (narrow(self.grid.rounded(widen(x)), x),)
