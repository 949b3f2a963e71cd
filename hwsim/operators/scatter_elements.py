"""A tensor with single elements replaced, or combined, along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import axis_of, expect_inputs, expect_rank, expect_shape
from hwsim.operators.gather import indices_within
from hwsim.operators.scattering import expect_mode, scatter, scatter_work

__all__ = ["ScatterElements"]


@register
@dataclass(frozen=True, slots=True)
class ScatterElements:
    """For inputs (x, indices, updates) of one rank: x with y[i, indices[i, j], ...] = updates[i, j, ...] on ``axis``.

    ``mode`` combines instead of replacing: ``add``, ``mul``, ``max``, ``min``.
    """

    kind: ClassVar[str] = "scatter_elements"
    axis: int = 0
    mode: str = "none"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when updates and indices differ in shape."""
        expect_inputs(self.kind, inputs, 3)
        expect_mode(self.kind, self.mode)
        x, indices, updates = inputs
        axis_of(self.kind, self.axis, len(x.shape))
        expect_rank(self.kind, "the indices", indices, len(x.shape), len(x.shape))
        expect_shape(self.kind, "updates", updates, indices.shape)
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One scattered Move that copies x and writes the updates into the copy."""
        return (scatter_work(self.kind, inputs, outputs[0]),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The changed copy; raises InputError for an index that x does not have."""
        x, indices, updates = arrays
        axis = self.axis % x.ndim
        found = indices_within(self.kind, indices, x.shape[axis], wrap=True)
        at: list[Array] = list(np.ix_(*map(np.arange, indices.shape)))
        at[axis] = found
        return (scatter(x, tuple(at), updates, self.mode),)
