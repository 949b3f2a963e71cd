"""A step of the Adam optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.precision import narrow, widen

__all__ = ["Adam", "update_work"]


def update_work(kind: str, inputs: Sequence[TensorType], outputs: Sequence[TensorType], flop: int, special: int) -> Map:
    """A Map that reads weight, gradient and what the optimizer keeps, and writes all but the gradient back."""
    return Map(
        kernel=kind,
        elements=outputs[0].elements,
        flop_per_element=flop,
        special_per_element=special,
        bytes_in=sum(t.size_bytes for t in inputs),
        bytes_out=sum(t.size_bytes for t in outputs),
        format=outputs[0].format,
    )


@register
@dataclass(frozen=True, slots=True)
class Adam:
    """(weight, mean, variance) after step ``step`` for inputs (weight, gradient, mean, variance), all of one shape.

    Source: Kingma and Ba, Adam, 2015, algorithm 1; decoupled ``decay``: Loshchilov and Hutter, AdamW, 2019, algorithm
    2. Results take the places of what they replace.
    """

    kind: ClassVar[str] = "adam"
    in_place: ClassVar[bool] = True
    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    decay: float = 0.0
    step: int = 1

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of weight, mean and variance; raises ShapeError unless all have one shape."""
        expect_inputs(self.kind, inputs, 4)
        weight, gradient, mean, variance = inputs
        for what, tensor in (("the gradient", gradient), ("the mean", mean), ("the variance", variance)):
            expect_shape(self.kind, what, tensor, weight.shape)
        return tuple(TensorType(t.shape, t.format) for t in (weight, mean, variance))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: three operations for the mean, four for the variance, five for the weight; a root, a reciprocal."""
        return (update_work(self.kind, inputs, outputs, 12, 2),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtypes of weight, mean and variance, computed in float32 (float64 for float64)."""
        weight, gradient, mean, variance = (widen(a) for a in arrays)
        mean = self.beta1 * mean + (1 - self.beta1) * gradient
        variance = self.beta2 * variance + (1 - self.beta2) * np.square(gradient)
        direction = mean / (1 - self.beta1**self.step)
        spread = np.sqrt(variance / (1 - self.beta2**self.step)) + self.eps
        weight = weight - self.rate * (direction / spread + self.decay * weight)
        likes = (arrays[0], arrays[2], arrays[3])
        return tuple(narrow(value, like) for value, like in zip((weight, mean, variance), likes, strict=True))
