"""Gradients of a gated pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.derivatives import derivative
from hwsim.operators.elementwise import Gated
from hwsim.operators.precision import narrow, widen
from hwsim.operators.silu_mul import SiluMul

__all__ = ["GatedGrad"]


@register
@dataclass(frozen=True, slots=True)
class GatedGrad:
    """(d gate, d up) = (dy up f'(gate), dy f(gate)) for inputs (dy, gate, up); ``forward`` is f(gate) up."""

    kind: ClassVar[str] = "gated_grad"
    forward: Gated = field(default_factory=SiluMul)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of gate and up; raises ShapeError unless all have one shape."""
        expect_inputs(self.kind, inputs, 3)
        _, gate, up = inputs
        for what, tensor in (("dy", inputs[0]), ("up", up)):
            expect_shape(self.kind, what, tensor, gate.shape)
        return (TensorType(gate.shape, gate.format), TensorType(up.shape, up.format))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: what the pair itself takes, a product for f' and three with dy and up, an element."""
        (work,) = self.forward.lower(inputs[1:], outputs[:1])
        assert isinstance(work, Map)
        return (
            Map(
                kernel=self.kind,
                elements=outputs[0].elements,
                flop_per_element=work.flop_per_element + 4,
                special_per_element=work.special_per_element,
                bytes_in=sum(t.size_bytes for t in inputs),
                bytes_out=sum(t.size_bytes for t in outputs),
                format=outputs[0].format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtypes of gate and up, computed in float32 (float64 for float64)."""
        dy, gate, up = (widen(a) for a in arrays)
        d_gate = dy * up * derivative(self.forward, gate)
        return (narrow(d_gate, arrays[1]), narrow(dy * self.forward.value(gate), arrays[2]))
