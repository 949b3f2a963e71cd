"""Which format a result, a product or a sum has, and how wide the NumPy references compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.graph.operator import Array
from hwsim.graph.tensor import AUTO, TensorType

__all__ = ["accumulator", "dtype_of", "multiply_format", "narrow", "result_format", "widen"]

_NARROW_INTEGERS = ("int8", "int4", "uint8", "uint4")


def accumulator(fmt: str) -> str:
    """The format sums are kept in: int32 for integers, fp64 for fp64, else fp32.

    >>> accumulator("int8"), accumulator("bf16")
    ('int32', 'fp32')
    """
    return "int32" if fmt in _NARROW_INTEGERS else "fp64" if fmt == "fp64" else "fp32"


def multiply_format(a: TensorType, b: TensorType) -> str:
    """The wider of both operands' formats (the first of equals): weights are widened to activations."""
    if AUTO in (a.format, b.format):
        return a.format
    return a.format if a.bits >= b.bits else b.format


def result_format(inputs: Sequence[TensorType]) -> str:
    """The format of the first input that is no weight, of the first if all are."""
    return next((t.format for t in inputs if not t.weight), inputs[0].format)


def widen(array: Array) -> Array:
    """The array in float32 (float64 stays), as accumulators and vector units compute; integers become float32."""
    return array.astype(np.result_type(array.dtype, np.float32) if _is_float(array) else np.float32, copy=False)


def narrow(values: Any, like: Array) -> Array:
    """Values in the number format of ``like``; rounded to the nearest integer where that is one."""
    found: Array = np.asarray(values)
    if np.issubdtype(like.dtype, np.integer) and _is_float(found):
        limits = np.iinfo(like.dtype)
        found = np.clip(np.rint(found), limits.min, limits.max)
    return found.astype(like.dtype, copy=False)


def _is_float(array: Array) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def dtype_of(fmt: str) -> np.dtype[Any]:
    """The NumPy dtype that holds values of a format: float32 for floats NumPy lacks, int8 for int4.

    >>> dtype_of("bf16").name, dtype_of("fp16").name, dtype_of("int4").name
    ('float32', 'float16', 'int8')
    """
    found: np.dtype[Any] = np.dtype(_DTYPES.get(fmt, np.float32))
    return found


_DTYPES: dict[str, Any] = {
    "fp64": np.float64,
    "fp16": np.float16,
    "int64": np.int64,
    "int32": np.int32,
    "int16": np.int16,
    "int8": np.int8,
    "int4": np.int8,
    "bool": np.bool_,
    "uint64": np.uint64,
    "uint32": np.uint32,
    "uint16": np.uint16,
    "uint8": np.uint8,
    "uint4": np.uint8,
}
