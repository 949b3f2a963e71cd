"""What matrix-product operators share: their Gemm, the cost of an added bias, and wide NumPy products."""

from __future__ import annotations

import numpy as np

from hwsim.graph.operator import Array
from hwsim.graph.tensor import PRICED_AS, TensorType
from hwsim.graph.work import Gemm, size_bytes
from hwsim.operators.precision import accumulator, multiply_format, narrow

__all__ = ["finish", "gemm_work", "matrix_operand"]


def gemm_work(
    kernel: str,
    operands: tuple[TensorType, TensorType],
    output: TensorType,
    sizes: tuple[int, int, int, int],
    *,
    addend: TensorType | None = None,
    addend_flop: int = 1,
) -> Gemm:
    """A Gemm of sizes (batch, m, n, k); an ``addend`` (bias) is read in the epilogue, ``addend_flop`` an element."""
    a, b = operands
    batch, m, n, k = sizes
    fmt = PRICED_AS.get(multiply_format(a, b), multiply_format(a, b))
    return Gemm(
        kernel=kernel,
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
        out_format=output.format,
        b_density=b.storage.density if b.storage else 1.0,
        b_storage=b.size_bytes / size_bytes(b.elements, b.format) if b.storage else 1.0,
        b_is_weight=b.weight,
        epilogue_flop=output.elements * addend_flop if addend is not None else 0,
        epilogue_bytes=addend.size_bytes if addend is not None else 0,
    )


def matrix_operand(array: Array) -> Array:
    """The array as a matrix unit sums it: int32 for integers, float32 for narrow floats, float64 as it is."""
    wide = np.int32 if np.issubdtype(array.dtype, np.integer) else np.result_type(array.dtype, np.float32)
    return array.astype(wide, copy=False)


def finish(product: Array, like: Array) -> Array:
    """The product in the dtype of ``like``; sums of integers stay int32 (rescaling is an operator of its own)."""
    if np.issubdtype(like.dtype, np.integer):
        return product
    return narrow(product, like)
