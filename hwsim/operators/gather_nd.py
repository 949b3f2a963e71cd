"""Slices picked by tuples of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work, size_bytes
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.gather import indices_within
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["GatherNd"]


@register
@dataclass(frozen=True, slots=True)
class GatherNd:
    """For inputs (x, indices (..., depth)): y[..., :] = x[indices[..., 0], indices[..., 1], ...].

    The first ``batch`` axes of both are walked together.
    """

    kind: ClassVar[str] = "gather_nd"
    batch: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The axes of the indices but the last, then those of x that no index names, in its format; else ShapeError."""
        expect_inputs(self.kind, inputs, 2)
        x, indices = inputs
        expect_rank(self.kind, "the indices", indices, 1 + self.batch)
        depth = indices.shape[-1]
        if self.batch + depth > len(x.shape) or x.shape[: self.batch] != indices.shape[: self.batch]:
            raise ShapeError(
                f"{self.kind}: indices {list(indices.shape)} with {self.batch} batch axes do not fit x {list(x.shape)}"
            )
        return (TensorType((*indices.shape[:-1], *x.shape[self.batch + depth :]), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move that reads the indices and the slices picked, not all of x."""
        (x, indices), (y,) = inputs, outputs
        read = indices.size_bytes + size_bytes(y.elements, x.format)
        run = x.shape[self.batch + indices.shape[-1] :]
        return (move_work(self.kind, inputs, y, contiguous=fills_lines(x, run), bytes_in=read),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The slices picked; raises InputError for an index that x does not have."""
        x, indices = arrays
        depth = indices.shape[-1]
        sizes = x.shape[self.batch : self.batch + depth]
        columns = [indices_within(self.kind, indices[..., i], size, wrap=True) for i, size in enumerate(sizes)]
        outer: tuple[Array, ...] = np.ix_(*map(np.arange, indices.shape[: self.batch]))
        rank = indices.ndim - 1
        lead = [at.reshape(at.shape + (1,) * (rank - self.batch)) for at in outer]
        return (np.asarray(x[(*lead, *columns)]),)
