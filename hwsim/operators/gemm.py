"""General matrix product alpha A B + beta C on two axes, as in BLAS and ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import broadcast, expect_inputs, expect_rank
from hwsim.operators.precision import result_format
from hwsim.operators.products import finish, gemm_work, matrix_operand

__all__ = ["Gemm"]


@register
@dataclass(frozen=True, slots=True)
class Gemm:
    """Y = alpha A B + beta C for A (m, k), B (k, n) and an optional C that broadcasts to (m, n).

    ``transpose_a`` takes A as (k, m), ``transpose_b`` B as (n, k).
    """

    kind: ClassVar[str] = "gemm"
    transpose_a: bool = False
    transpose_b: bool = False
    alpha: float = 1.0
    beta: float = 1.0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(m, n) in A's format; raises ShapeError when k differs or C does not broadcast."""
        expect_inputs(self.kind, inputs, 2, 3)
        a, b = inputs[:2]
        expect_rank(self.kind, "A", a, 2, 2)
        expect_rank(self.kind, "B", b, 2, 2)
        m, k = a.shape[::-1] if self.transpose_a else a.shape
        n, depth = b.shape if self.transpose_b else b.shape[::-1]
        if k != depth:
            raise ShapeError(f"gemm of {list(a.shape)} and {list(b.shape)}: k is {k} on the left, {depth} on the right")
        y = TensorType((m, n), result_format(inputs[:2]))
        if len(inputs) == 3 and broadcast(self.kind, (y, inputs[2])) != y.shape:
            raise ShapeError(f"gemm: C of shape {list(inputs[2].shape)} must broadcast to {[m, n]}")
        return (y,)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm; scaling by beta and adding C happen in its epilogue (one or two operations an element)."""
        a, b = inputs[:2]
        (y,) = outputs
        (m, n), k = y.shape, a.shape[0 if self.transpose_a else 1]
        addend = inputs[2] if len(inputs) == 3 else None
        flop = 1 if self.beta == 1.0 else 2
        return (gemm_work(self.kind, (a, b), y, (1, m, n, k), addend=addend, addend_flop=flop),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The product, summed as :class:`Matmul` does; integers need alpha and beta of 1."""
        a, b = (matrix_operand(x) for x in arrays[:2])
        y = np.matmul(a.T if self.transpose_a else a, b.T if self.transpose_b else b)
        if self.alpha != 1.0:
            y = np.asarray(self.alpha, y.dtype) * y
        if len(arrays) == 3:
            c = matrix_operand(arrays[2]).astype(y.dtype)
            y = y + (c if self.beta == 1.0 else np.asarray(self.beta, y.dtype) * c)
        return (finish(y, arrays[0]),)
