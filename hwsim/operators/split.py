"""A tensor cut into pieces along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Split"]


@register
@dataclass(frozen=True, slots=True)
class Split:
    """x cut along ``axis`` into pieces of ``sizes``; one output each."""

    kind: ClassVar[str] = "split"
    axis: int = 0
    sizes: tuple[int, ...] = (1,)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """One type a piece; raises ShapeError when the sizes do not add up to the axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if sum(self.sizes) != x.shape[axis]:
            raise ShapeError(
                f"split: sizes {self.sizes} add up to {sum(self.sizes)}, but axis {self.axis} of {list(x.shape)} "
                f"has {x.shape[axis]}"
            )
        return tuple(TensorType((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.format) for size in self.sizes)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move a piece, or none (views) when all axes before ``axis`` have extent 1 or there is one piece."""
        (x,) = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if math.prod(x.shape[:axis]) == 1 or len(outputs) == 1:
            return ()
        return tuple(move_work(self.kind, (y,), y, contiguous=fills_lines(y, y.shape[axis:])) for y in outputs)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The pieces."""
        (x,) = arrays
        return tuple(np.split(x, list(accumulate(self.sizes))[:-1], self.axis))
