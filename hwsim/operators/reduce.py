"""Sums, means, extremes, norms over some axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["ReduceAxes"]

_MODES = ("sum", "mean", "max", "min", "prod", "l1", "l2", "sum_square", "log_sum", "log_sum_exp")
_COUNTS = {"l1": (2, 0), "l2": (2, 0), "sum_square": (2, 0), "log_sum_exp": (3, 1)}
"""Plain operations and special functions an element, where they are not one and none."""


@register
@dataclass(frozen=True, slots=True)
class ReduceAxes:
    """A figure (``mode``) of the elements over ``axes``, which stay with extent 1 if ``keepdims``.

    ``sum``, ``mean``, ``max``, ``min``, ``prod``; the norms ``l1`` and ``l2``; ``sum_square``; the logarithms
    ``log_sum`` and ``log_sum_exp``, the second without overflow.
    """

    kind: ClassVar[str] = "reduce"
    kernels: ClassVar[tuple[str, ...]] = ("reduce", "extremes")
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
        """One Reduce: what the mode does to an element, and a sum, product or comparison.

        Comparisons are labelled ``extremes``.
        """
        (x,) = inputs
        cols = math.prod(x.shape[axis] for axis in self.axes)
        flop, special = _COUNTS.get(self.mode, (1, 0))
        label = "extremes" if self.mode in ("max", "min") else self.kind
        return (reduce_work(label, inputs, outputs[0], cols=cols, passes=1, flop=flop, special=special),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, summed in float32 (float64 for float64)."""
        (x,) = arrays
        over: dict[str, Any] = {"axis": self._axes(x.ndim), "keepdims": self.keepdims}
        if self.mode in ("max", "min"):
            return (_extreme(x, self.mode, over),)
        if np.issubdtype(x.dtype, np.integer) and self.mode in ("sum", "prod", "l1", "sum_square"):
            whole = x.astype(np.int64)
            powers = np.abs(whole) if self.mode == "l1" else whole * whole if self.mode == "sum_square" else whole
            return (narrow(powers.prod(**over) if self.mode == "prod" else powers.sum(**over), x),)
        return (narrow(_figure(widen(x), self.mode, over), x),)


def _extreme(x: Array, mode: str, over: dict[str, Any]) -> Array:
    """Largest or smallest elements; of none, the number that any other exceeds."""
    if x.dtype == np.bool_:
        return np.asarray(x.any(**over) if mode == "max" else x.all(**over))
    integer = np.issubdtype(x.dtype, np.integer)
    low, high = (np.iinfo(x.dtype).min, np.iinfo(x.dtype).max) if integer else (-np.inf, np.inf)
    return np.asarray(x.max(**over, initial=low) if mode == "max" else x.min(**over, initial=high))


def _figure(x: Array, mode: str, over: dict[str, Any]) -> Array:
    match mode:
        case "prod":
            return np.asarray(x.prod(**over))
        case "l1":
            return np.asarray(np.abs(x).sum(**over))
        case "l2":
            return np.asarray(np.sqrt(np.square(x).sum(**over)))
        case "sum_square":
            return np.asarray(np.square(x).sum(**over))
        case "log_sum":
            return np.asarray(np.log(x.sum(**over)))
        case "log_sum_exp":
            return np.asarray(np.logaddexp.reduce(x, **over))
        case _:
            summed = x.sum(**over)
    return np.asarray(summed / (x.size // max(summed.size, 1)) if mode == "mean" else summed)
