"""The largest or smallest elements along an axis, and where they stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.checks import axis_of, expect_inputs

__all__ = ["TopK"]


@register
@dataclass(frozen=True, slots=True)
class TopK:
    """The ``k`` largest (or smallest) elements along ``axis``, in order, and their indices; the lower index first."""

    kind: ClassVar[str] = "topk"
    k: int = 1
    axis: int = -1
    largest: bool = True

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Values in the input's format and indices in int64; raises ShapeError when there are fewer than ``k``."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if not 1 <= self.k <= x.shape[axis]:
            raise ShapeError(
                f"topk: {self.k} of the {x.shape[axis]} elements along axis {self.axis} of {list(x.shape)}"
            )
        shape = (*x.shape[:axis], self.k, *x.shape[axis + 1 :])
        return (TensorType(shape, x.format), TensorType(shape, "int64"))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a heap of ``k`` elements takes log2(k) + 1 comparisons an element (Knuth, TAOCP 3, 5.2.3)."""
        (x,) = inputs
        cols = x.shape[self.axis]
        return (
            Reduce(
                kernel=self.kind,
                rows=x.elements // cols,
                cols=cols,
                passes=1,
                flop_per_element=1 + math.ceil(math.log2(self.k)),
                special_per_element=0,
                bytes_in=x.size_bytes,
                bytes_out=sum(t.size_bytes for t in outputs),
                format=x.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The values and their indices."""
        (x,) = arrays
        size = x.shape[self.axis]
        if self.largest:  # a stable sort of the reversed axis, reversed, keeps the lower index of equals first
            order = size - 1 - np.flip(np.argsort(np.flip(x, self.axis), axis=self.axis, kind="stable"), self.axis)
        else:
            order = np.argsort(x, axis=self.axis, kind="stable")
        best = np.take(order, np.arange(self.k), self.axis)
        return (np.take_along_axis(x, best, self.axis), best.astype(np.int64))
