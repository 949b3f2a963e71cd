"""A tensor with slices replaced, or combined, at tuples of indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.gather import indices_within
from hwsim.operators.scattering import expect_mode, scatter, scatter_work

__all__ = ["ScatterNd"]


@register
@dataclass(frozen=True, slots=True)
class ScatterNd:
    """For inputs (x, indices (..., depth), updates): x with y[indices[..., 0], ...] = updates[..., :].

    ``mode`` combines instead of replacing: ``add``, ``mul``, ``max``, ``min``.
    """

    kind: ClassVar[str] = "scatter_nd"
    mode: str = "none"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when the updates do not fill the slices named."""
        expect_inputs(self.kind, inputs, 3)
        expect_mode(self.kind, self.mode)
        x, indices, updates = inputs
        expect_rank(self.kind, "the indices", indices, 1)
        depth = indices.shape[-1]
        if depth > len(x.shape):
            raise ShapeError(f"{self.kind}: {depth} indices for the {len(x.shape)} axes of x {list(x.shape)}")
        expect_shape(self.kind, "updates", updates, (*indices.shape[:-1], *x.shape[depth:]))
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One scattered Move that copies x and writes the updates into the copy."""
        return (scatter_work(self.kind, inputs, outputs[0]),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The changed copy; raises InputError for an index that x does not have."""
        x, indices, updates = arrays
        at = tuple(indices_within(self.kind, indices[..., i], x.shape[i], wrap=True) for i in range(indices.shape[-1]))
        return (scatter(x, at, updates, self.mode),)
