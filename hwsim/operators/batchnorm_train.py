"""Batch normalization with the statistics of the batch at hand, as used in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work, standardized

__all__ = ["BatchNormTrain"]


@register
@dataclass(frozen=True, slots=True)
class BatchNormTrain:
    """Standardizes each channel of x (batch, channels, ...) over batch and positions, times gamma, plus beta.

    Source: Ioffe and Szegedy, Batch Normalization, 2015, algorithm 1.
    """

    kind: ClassVar[str] = "batchnorm_train"
    eps: float = 1e-5

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError unless gamma and beta have one element a channel."""
        expect_inputs(self.kind, inputs, 3)
        x = inputs[0]
        expect_rank(self.kind, "x", x, 2)
        for what, tensor in zip(("gamma", "beta"), inputs[1:], strict=True):
            expect_shape(self.kind, what, tensor, (x.shape[1],))
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes, a row a channel; an element costs what it does in layernorm."""
        x = inputs[0]
        return (reduce_work(self.kind, inputs, outputs[0], cols=x.elements // x.shape[1], passes=2, flop=8),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x = arrays[0]
        across = (-1,) + (1,) * (x.ndim - 2)
        gamma, beta = (widen(a).reshape(across) for a in arrays[1:])
        y = standardized(widen(x), tuple(i for i in range(x.ndim) if i != 1), self.eps)
        return (narrow(y * gamma + beta, x),)
