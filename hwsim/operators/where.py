"""Elements of two tensors chosen by a third."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.operators.checks import broadcast, expect_inputs
from hwsim.operators.elementwise import Elementwise
from hwsim.operators.precision import result_format

__all__ = ["Where"]


@register
@dataclass(frozen=True, slots=True)
class Where(Elementwise):
    """For inputs (condition, a, b): a where the condition holds, else b, with broadcasting.

    One operation.
    """

    kind: ClassVar[str] = "where"
    flop_per_element: ClassVar[int] = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The broadcast shape in the format of a or b; raises ShapeError when shapes do not broadcast."""
        expect_inputs(self.kind, inputs, 3)
        return (TensorType(broadcast(self.kind, inputs), result_format(inputs[1:])),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The elements chosen."""
        condition, a, b = arrays
        return (np.where(condition.astype(np.bool_), a, b),)
