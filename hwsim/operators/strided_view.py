"""Axes in another order without moving anything: a view whose readers follow its strides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.transpose import Transpose

__all__ = ["StridedView"]


@register
@dataclass(frozen=True, slots=True)
class StridedView:
    """Axis i of the result is axis ``perm[i]`` of x, as a view."""

    kind: ClassVar[str] = "strided_view"
    perm: tuple[int, ...] = (1, 0)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The permuted shape; raises ShapeError unless ``perm`` names each axis once."""
        expect_inputs(self.kind, inputs, 1)
        return Transpose(self.perm).infer(inputs)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """None: no byte moves."""
        return ()

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The same values in the new order."""
        (x,) = arrays
        return (np.transpose(x, self.perm),)
