"""Indices as rows with one element switched on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import AUTO, TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs, expect_positive
from hwsim.operators.layout import move_work
from hwsim.operators.precision import dtype_of

__all__ = ["OneHot"]


@register
@dataclass(frozen=True, slots=True)
class OneHot:
    """For indices: a new ``axis`` of extent ``depth``, ``on`` at the index, else ``off``.

    Negative indices count from the end.
    """

    kind: ClassVar[str] = "one_hot"
    depth: int = 2
    axis: int = -1
    on: float = 1.0
    off: float = 0.0
    format: str = AUTO

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape with the new axis in ``format``; raises ShapeError when there is no such place for it."""
        expect_inputs(self.kind, inputs, 1)
        expect_positive(self.kind, "depth", (self.depth,))
        (x,) = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape) + 1)
        return (TensorType((*x.shape[:axis], self.depth, *x.shape[axis:]), self.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One contiguous Move that reads the indices and writes the rows."""
        return (move_work(self.kind, inputs, outputs[0], contiguous=True),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The rows; an index out of range switches nothing on."""
        (x,) = arrays
        whole = x.astype(np.int64)
        whole = np.where(whole < 0, whole + self.depth, whole)
        axis = self.axis % (x.ndim + 1)
        places = np.arange(self.depth).reshape([-1 if i == axis else 1 for i in range(x.ndim + 1)])
        hot = np.expand_dims(whole, axis) == places
        return (np.where(hot, self.on, self.off).astype(dtype_of(self.format)),)
