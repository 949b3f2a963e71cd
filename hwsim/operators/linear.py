"""Fully connected layer: x W^T + bias."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.products import finish, gemm_work, matrix_operand

__all__ = ["Linear"]


@register
@dataclass(frozen=True, slots=True)
class Linear:
    """y = x W^T + bias for x (..., k), W (n, k) and an optional bias (n)."""

    kind: ClassVar[str] = "linear"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(..., n) in the format of x; raises ShapeError when k or the bias do not fit W."""
        expect_inputs(self.kind, inputs, 2, 3)
        x, w = inputs[:2]
        expect_rank(self.kind, "x", x, 1)
        expect_rank(self.kind, "the weight", w, 2, 2)
        if x.shape[-1] != w.shape[1]:
            raise ShapeError(
                f"linear: x {list(x.shape)} ends in {x.shape[-1]}, but the weight (n, k) is {list(w.shape)}"
            )
        if len(inputs) == 3:
            expect_shape(self.kind, "the bias", inputs[2], w.shape[:1])
        return (TensorType((*x.shape[:-1], w.shape[0]), x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm with m the product of all leading axes; the bias is added in its epilogue."""
        x, w = inputs[:2]
        (y,) = outputs
        n, k = w.shape
        bias = inputs[2] if len(inputs) == 3 else None
        return (gemm_work(self.kind, (x, w), y, (1, math.prod(x.shape[:-1]), n, k), addend=bias),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The product, summed as :class:`Matmul` does, then the bias."""
        x, w = arrays[:2]
        y = np.matmul(matrix_operand(x), matrix_operand(w).T)
        if len(arrays) == 3:
            y = y + matrix_operand(arrays[2]).astype(y.dtype)
        return (finish(y, x),)
