"""The part of a tensor that one of several ranks works on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.collectives import Segments, held
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Shard"]


@register
@dataclass(frozen=True, slots=True)
class Shard:
    """What one rank keeps of x along ``axis``: of ``segments`` its part of those that are cut, the others whole.

    Without segments the whole axis is cut. Ranks ``stride`` apart have different parts.
    """

    kind: ClassVar[str] = "shard"
    axis: int = 0
    ranks: int = 2
    segments: Segments = ()
    stride: int = 1

    def _segments(self, size: int) -> Segments:
        return self.segments or ((size, True),)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shortened shape; raises ShapeError when the segments do not fill the axis or cannot be cut."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        segments = self._segments(x.shape[axis])
        if sum(length for length, _ in segments) != x.shape[axis]:
            raise ShapeError(f"shard: segments {segments} do not fill axis {self.axis} of {list(x.shape)}")
        if any(cut and length % self.ranks for length, cut in segments):
            raise ShapeError(f"shard: {self.ranks} ranks do not divide the segments {segments}")
        left = sum(length // self.ranks if cut else length for length, cut in segments)
        return (TensorType((*x.shape[:axis], left, *x.shape[axis + 1 :]), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move of what is kept; none (a view) for one run behind axes of extent 1."""
        (x,), (y,) = inputs, outputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if math.prod(x.shape[:axis]) == 1 and len(self.segments) < 2:
            return ()
        return (move_work(self.kind, (y,), y, contiguous=fills_lines(y, y.shape[axis:])),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """What rank 0 keeps."""
        return self.on_rank(0, *arrays)

    def on_rank(self, rank: int, *arrays: Array) -> tuple[Array, ...]:
        """What that rank keeps."""
        (x,) = arrays
        own = held(self._segments(x.shape[self.axis]), rank // self.stride % self.ranks, self.ranks)
        return (np.take(x, own, self.axis),)
