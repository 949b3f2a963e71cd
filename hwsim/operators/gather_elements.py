"""Single elements picked along an axis by an index tensor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work, size_bytes
from hwsim.operators.checks import axis_of, expect_inputs, expect_rank
from hwsim.operators.gather import indices_within
from hwsim.operators.layout import move_work

__all__ = ["GatherElements"]


@register
@dataclass(frozen=True, slots=True)
class GatherElements:
    """For inputs (x, indices) of one rank: y[i, j, ...] = x[i, indices[i, j, ...], ...], the index on ``axis``."""

    kind: ClassVar[str] = "gather_elements"
    axis: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The shape of the indices in the format of x; raises ShapeError unless they fit x on all other axes."""
        expect_inputs(self.kind, inputs, 2)
        x, indices = inputs
        expect_rank(self.kind, "the indices", indices, len(x.shape), len(x.shape))
        axis = axis_of(self.kind, self.axis, len(x.shape))
        if any(i > d for at, (i, d) in enumerate(zip(indices.shape, x.shape, strict=True)) if at != axis):
            raise ShapeError(f"{self.kind}: indices {list(indices.shape)} exceed {list(x.shape)} beside axis {axis}")
        return (TensorType(indices.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One scattered Move that reads the indices and the elements picked, not all of x."""
        (x, indices), (y,) = inputs, outputs
        read = indices.size_bytes + size_bytes(y.elements, x.format)
        return (move_work(self.kind, inputs, y, contiguous=False, bytes_in=read),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The elements picked; raises InputError for an index that x does not have."""
        x, indices = arrays
        axis = self.axis % x.ndim
        found = indices_within(self.kind, indices, x.shape[axis], wrap=True)
        cut = x[tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(indices.shape))]
        return (np.take_along_axis(cut, found, axis),)
