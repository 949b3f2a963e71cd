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
from hwsim.graph.work import Gemm, Work

__all__ = ["Matmul", "accumulator", "multiply_format"]

_NARROW_INTEGERS = ("int8", "int4")


def accumulator(fmt: str) -> str:
    """The format sums are kept in: int32 for integers, fp64 for fp64, else fp32."""
    return "int32" if fmt in _NARROW_INTEGERS else "fp64" if fmt == "fp64" else "fp32"


def multiply_format(a: TensorType, b: TensorType) -> str:
    """The wider of both operands' formats (the first of equals): weights are widened to activations."""
    if "auto" in (a.format, b.format):
        return a.format
    return a.format if a.bits >= b.bits else b.format


@register
@dataclass(frozen=True, slots=True)
class Matmul:
    """C = A B for A (..., m, k), B (..., k, n); ``transpose_b`` takes B as (..., n, k)."""

    kind: ClassVar[str] = "matmul"
    transpose_b: bool = False

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(..., m, n) in A's format; raises ShapeError when k differs or batch axes do not broadcast."""
        a, b = inputs
        if len(a.shape) < 2 or len(b.shape) < 2:
            raise ShapeError(f"matmul needs two axes or more on both sides, not {list(a.shape)} and {list(b.shape)}")
        k, n = (b.shape[-1], b.shape[-2]) if self.transpose_b else (b.shape[-2], b.shape[-1])
        if a.shape[-1] != k:
            raise ShapeError(f"matmul of {list(a.shape)} and {list(b.shape)}: k is {a.shape[-1]} on the left, {k} on the right")
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(f"matmul of {list(a.shape)} and {list(b.shape)}: batch axes do not broadcast") from None
        return (TensorType((*batch, a.shape[-2], n), a.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Gemm; a batch that B does not share is folded into m."""
        (a, b), (c,) = inputs, outputs
        m, k, n = a.shape[-2], a.shape[-1], c.shape[-1]
        batch = math.prod(c.shape[:-2])
        if math.prod(b.shape[:-2]) == 1:
            m, batch = m * batch, 1
        fmt = multiply_format(a, b)
        return (
            Gemm(
                kernel="matmul",
                batch=batch,
                m=m,
                n=n,
                k=k,
                a_elements=a.elements,
                b_elements=b.elements,
                a_format=a.format,
                b_format=b.format,
                compute_format=fmt,
                accumulator_format=accumulator(fmt),
                out_format=c.format,
                b_is_weight=b.weight,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The product, summed in float32 for narrow floats and int32 for narrow integers, float64 else."""
        a, b = arrays
        wide = np.int32 if np.issubdtype(a.dtype, np.integer) else np.result_type(a.dtype, np.float32)
        right = np.swapaxes(b, -1, -2) if self.transpose_b else b
        product = np.matmul(a.astype(wide), right.astype(wide))
        return (product if np.issubdtype(a.dtype, np.integer) else product.astype(a.dtype),)
