"""Sum, mean or maximum over some axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["ReduceAxes"]

_MODES = ("sum", "mean", "max")


@register
@dataclass(frozen=True, slots=True)
class ReduceAxes:
    """Sum, mean or maximum (``mode``) over ``axes``, which stay with extent 1 if ``keepdims``."""

    kind: ClassVar[str] = "reduce"
    mode: str = "sum"
    axes: tuple[int, ...] = (-1,)
    keepdims: bool = False

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(axis_of(self.kind, axis, rank) for axis in self.axes)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The remaining axes in the input's format; raises ShapeError for an unknown mode or axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        if self.mode not in _MODES:
            raise ShapeError(f"reduce: mode is one of {', '.join(_MODES)}, not '{self.mode}'")
        axes = self._axes(len(x.shape))
        if len(set(axes)) < len(axes):
            raise ShapeError(f"reduce: axes {self.axes} name an axis of {list(x.shape)} twice")
        if self.keepdims:
            return (TensorType(tuple(1 if i in axes else d for i, d in enumerate(x.shape)), x.format),)
        return (TensorType(tuple(d for i, d in enumerate(x.shape) if i not in axes), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a sum or comparison an element."""
        (x,) = inputs
        cols = math.prod(x.shape[axis] for axis in self.axes)
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=1, flop=1),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, summed in float32 (float64 for float64)."""
        (x,) = arrays
        axes = self._axes(x.ndim)
        if self.mode == "max":
            return (x.max(axis=axes, keepdims=self.keepdims),)
        wide = widen(x)
        summed = wide.sum(axis=axes, keepdims=self.keepdims)
        return (narrow(summed / (wide.size // max(summed.size, 1)) if self.mode == "mean" else summed, x),)
