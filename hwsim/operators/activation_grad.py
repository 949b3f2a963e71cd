"""Gradient of an element-wise function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from hwsim.graph.operator import Array, Operator, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.derivatives import derivative
from hwsim.operators.elementwise import map_work
from hwsim.operators.precision import narrow, widen
from hwsim.operators.relu import Relu

__all__ = ["ActivationGrad"]


@register
@dataclass(frozen=True, slots=True)
class ActivationGrad:
    """dx = dy f'(x) for inputs (dy, x) of one shape; ``forward`` is f."""

    kind: ClassVar[str] = "activation_grad"
    forward: Operator = field(default_factory=Relu)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of x; raises ShapeError unless dy has its shape."""
        expect_inputs(self.kind, inputs, 2)
        expect_shape(self.kind, "dy", inputs[0], inputs[1].shape)
        return (TensorType(inputs[1].shape, inputs[1].format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: what the function itself takes, a product for f' and one with dy, an element."""
        (work,) = self.forward.lower(inputs[1:], outputs)
        assert isinstance(work, Map)
        return (map_work(self.kind, inputs, outputs[0], work.flop_per_element + 2, work.special_per_element),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        dy, x = arrays
        return (narrow(widen(dy) * derivative(self.forward, widen(x)), x),)
