"""A step of stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.adam import update_work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.precision import narrow, widen

__all__ = ["Sgd"]


@register
@dataclass(frozen=True, slots=True)
class Sgd:
    """(weight, velocity) for inputs (weight, gradient, velocity): velocity = momentum velocity + gradient.

    Source: Sutskever et al., On the importance of initialization and momentum, 2013, eq. 1, with the rate applied to
    the velocity. Results take the places of what they replace.
    """

    kind: ClassVar[str] = "sgd"
    in_place: ClassVar[bool] = True
    rate: float = 1e-2
    momentum: float = 0.9

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of weight and velocity; raises ShapeError unless all have one shape."""
        expect_inputs(self.kind, inputs, 3)
        weight, gradient, velocity = inputs
        for what, tensor in (("the gradient", gradient), ("the velocity", velocity)):
            expect_shape(self.kind, what, tensor, weight.shape)
        return tuple(TensorType(t.shape, t.format) for t in (weight, velocity))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: two products, a sum and a difference an element."""
        return (update_work(self.kind, inputs, outputs, 4, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtypes of weight and velocity, computed in float32 (float64 for float64)."""
        weight, gradient, velocity = (widen(a) for a in arrays)
        velocity = self.momentum * velocity + gradient
        return (narrow(weight - self.rate * velocity, arrays[0]), narrow(velocity, arrays[2]))
