"""Modulation of a diffusion transformer: x (1 + scale) + shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import broadcast, expect_inputs
from hwsim.operators.elementwise import map_work
from hwsim.operators.precision import narrow, widen

__all__ = ["ScaleShift"]


@register
@dataclass(frozen=True, slots=True)
class ScaleShift:
    """x (1 + scale) + shift; scale and shift broadcast to x (adaptive layer norm: Peebles and Xie, DiT, 2023)."""

    kind: ClassVar[str] = "scale_shift"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when scale or shift do not broadcast to it."""
        expect_inputs(self.kind, inputs, 3)
        x = inputs[0]
        if broadcast(self.kind, inputs) != x.shape:
            raise ShapeError(f"{self.kind}: scale and shift must broadcast to x, which is {list(x.shape)}")
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: two sums and a product an element."""
        return (map_work(self.kind, inputs, outputs[0], 3, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x, scale, shift = arrays
        return (narrow(widen(x) * (1 + widen(scale)) + widen(shift), x),)
