"""Local response normalization across channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_rank
from hwsim.operators.elementwise import map_work
from hwsim.operators.precision import narrow, widen

__all__ = ["Lrn"]


@register
@dataclass(frozen=True, slots=True)
class Lrn:
    """x / (bias + alpha / size sum x^2)^beta, the sum over ``size`` neighbouring channels of x (batch, channels, ...).

    Source: A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet Classification with Deep Convolutional Neural
    Networks, 2012, section 3.3, with alpha divided by the size as Caffe and ONNX do.
    """

    kind: ClassVar[str] = "lrn"
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError unless it has channels."""
        expect_inputs(self.kind, inputs, 1)
        expect_rank(self.kind, "x", inputs[0], 2)
        expect_positive(self.kind, "size", (self.size,))
        return (TensorType(inputs[0].shape, inputs[0].format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: a square, ``size`` sums, a product and a sum, a power (two special functions) and a product."""
        return (map_work(self.kind, inputs, outputs[0], self.size + 4, 2),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, computed in float32 (float64 for float64)."""
        x = widen(arrays[0])
        before, channels = (self.size - 1) // 2, x.shape[1]
        sums = np.zeros_like(x)
        for offset in range(-before, self.size - before):
            low, high = max(0, -offset), min(channels, channels - offset)
            if low < high:
                sums[:, low:high] += np.square(x[:, low + offset : high + offset])
        factor = np.asarray(self.alpha / self.size, x.dtype)
        return (
            narrow(x / (np.asarray(self.bias, x.dtype) + factor * sums) ** np.asarray(self.beta, x.dtype), arrays[0]),
        )
