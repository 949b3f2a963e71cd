"""Batch normalization with stored statistics, as used in inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.elementwise import map_work
from hwsim.operators.precision import narrow, widen

__all__ = ["COLOURS", "BatchNorm"]

COLOURS = 4
"""Channels that an image has at most."""


@register
@dataclass(frozen=True, slots=True)
class BatchNorm:
    """gamma (x - mean) / sqrt(var + eps) + beta an element of x (batch, channels, ...) (Ioffe and Szegedy, 2015).

    gamma, beta, mean and var have one element a channel; mean and var are state, not parameters.
    """

    kind: ClassVar[str] = "batchnorm"
    kernels: ClassVar[tuple[str, ...]] = ("batchnorm", "image_norm")
    eps: float = 1e-5

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when a vector has not one element a channel."""
        expect_inputs(self.kind, inputs, 5)
        x = inputs[0]
        expect_rank(self.kind, "x", x, 2)
        for what, tensor in zip(("gamma", "beta", "mean", "var"), inputs[1:], strict=True):
            expect_shape(self.kind, what, tensor, x.shape[1:2])
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: the four vectors fold into a factor and a shift a channel, a product and a sum an element.

        It is labelled ``image_norm`` where the channels are colours.
        """
        label = "image_norm" if inputs[0].shape[1] <= COLOURS else self.kind
        return (map_work(label, inputs, outputs[0], 2, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x = arrays[0]
        across = (-1,) + (1,) * (x.ndim - 2)
        gamma, beta, mean, var = (widen(a).reshape(across) for a in arrays[1:])
        factor = gamma / np.sqrt(var + np.asarray(self.eps, var.dtype))
        return (narrow(widen(x) * factor + (beta - mean * factor), x),)
