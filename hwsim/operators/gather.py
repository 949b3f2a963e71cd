"""Slices of a tensor picked by an index tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work, size_bytes
from hwsim.operators.checks import axis_of, expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Gather", "indices_within"]


def indices_within(kind: str, indices: Array, size: int, *, wrap: bool = False) -> Array:
    """The indices as int64; raises InputError unless all lie between 0 (-``size`` to ``wrap``) and ``size`` - 1."""
    found = indices.astype(np.int64)
    low = -size if wrap else 0
    if found.size and not low <= found.min() <= found.max() < size:
        raise InputError(f"{kind}: indices must lie between {low} and {size - 1}, not {found.min()} to {found.max()}")
    return np.where(found < 0, found + size, found) if wrap else found


@register
@dataclass(frozen=True, slots=True)
class Gather:
    """For inputs (x, indices): x with ``axis`` replaced by the axes of the indices.

    With ``wrap`` negative indices count from the end.
    """

    kind: ClassVar[str] = "gather"
    axis: int = 0
    wrap: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The axes before, those of the indices, the axes after, in the format of x."""
        expect_inputs(self.kind, inputs, 2)
        x, indices = inputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        return (TensorType((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move that reads the indices and the slices picked, not all of x."""
        (x, indices), (y,) = inputs, outputs
        axis = axis_of(self.kind, self.axis, len(x.shape))
        read = indices.size_bytes + size_bytes(y.elements, x.format)
        return (move_work(self.kind, inputs, y, contiguous=fills_lines(x, x.shape[axis + 1 :]), bytes_in=read),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The values picked; raises InputError for an index that x does not have."""
        x, indices = arrays
        return (np.take(x, indices_within(self.kind, indices, x.shape[self.axis], wrap=self.wrap), self.axis),)
