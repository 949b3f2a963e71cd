"""Matrix product over the last two axes, with broadcast batch axes."""

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
from hwsim.operators.checks import expect_inputs
from hwsim.operators.precision import result_format
from hwsim.operators.products import finish, gemm_work, matrix_operand

__all__ = ["Matmul"]


@register
@dataclass(frozen=True, slots=True)
class Matmul:
    """C = A B for A (..., m, k), B (..., k, n).

    ``transpose_a`` takes A as (..., k, m), ``transpose_b`` B as (..., n, k).
    """

    kind: ClassVar[str] = "matmul"
    transpose_b: bool = False
    transpose_a: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(..., m, n) in A's format; raises ShapeError when k differs or batch axes do not broadcast."""
        expect_inputs(self.kind, inputs, 2)
        a, b = inputs
        if len(a.shape) < 2 or len(b.shape) < 2:
            raise ShapeError(f"matmul needs two axes or more on both sides, not {list(a.shape)} and {list(b.shape)}")
        both = f"matmul of {list(a.shape)} and {list(b.shape)}"
        k, n = (b.shape[-1], b.shape[-2]) if self.transpose_b else (b.shape[-2], b.shape[-1])
        m, depth = (a.shape[-1], a.shape[-2]) if self.transpose_a else (a.shape[-2], a.shape[-1])
        if depth != k:
            raise ShapeError(f"{both}: k is {depth} on the left, {k} on the right")
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(f"{both}: batch axes do not broadcast") from None
        return (TensorType((*batch, m, n), result_format(inputs)),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm; a batch that B does not share is folded into m."""
        (a, b), (c,) = inputs, outputs
        m, n = c.shape[-2:]
        k = a.shape[-2] if self.transpose_a else a.shape[-1]
        batch = math.prod(c.shape[:-2])
        if math.prod(b.shape[:-2]) == 1:
            m, batch = m * batch, 1
        return (gemm_work(self.kind, (a, b), c, (batch, m, n, k)),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The product, summed in float32 for narrow floats and int32 for narrow integers, float64 else."""
        a, b = arrays
        left = np.swapaxes(a, -1, -2) if self.transpose_a else a
        right = np.swapaxes(b, -1, -2) if self.transpose_b else b
        return (finish(np.matmul(matrix_operand(left), matrix_operand(right)), a),)
