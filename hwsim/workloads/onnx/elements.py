"""Types of the elements of ONNX tensors: their formats here, and their arrays.

Codes are those of ``TensorProto.DataType`` in onnx.proto3 (ONNX 1.23); 4-bit integers are packed as its comments say.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim.errors import UnsupportedError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import BITS

__all__ = [
    "FLOATS",
    "FORMAT_OF",
    "TYPE_OF",
    "element_name",
    "format_of",
    "stored_bytes",
    "tensor_values",
    "typed_field",
]

FORMAT_OF: Mapping[int, str] = MappingProxyType(
    {
        1: "fp32",
        2: "uint8",
        3: "int8",
        4: "uint16",
        5: "int16",
        6: "int32",
        7: "int64",
        9: "bool",
        10: "fp16",
        11: "fp64",
        12: "uint32",
        13: "uint64",
        16: "bf16",
        17: "fp8",
        19: "fp8_e5m2",
        21: "uint4",
        22: "int4",
    }
)
"""Format of each element type that is read, by its code."""
TYPE_OF: Mapping[str, int] = MappingProxyType({fmt: code for code, fmt in FORMAT_OF.items()})
FLOATS: tuple[str, ...] = ("fp64", "fp32", "bf16", "fp16", "fp8", "fp8_e5m2")
_NAMES: Mapping[int, str] = MappingProxyType(
    {0: "undefined", 8: "string", 14: "complex64", 15: "complex128", 18: "float8e4m3fnuz", 20: "float8e5m2fnuz"}
    | {23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2"}
)
_PACKED = ("int4", "uint4")


def element_name(code: int) -> str:
    """What messages call an element type.

    >>> element_name(1), element_name(8), element_name(99)
    ('fp32', 'string', 'number 99')
    """
    return FORMAT_OF.get(code) or _NAMES.get(code, f"number {code}")


def stored_bytes(fmt: str, elements: int) -> int:
    """Bytes of that many elements as a file stores them, 4-bit integers two a byte."""
    return math.ceil(elements / 2) if fmt in _PACKED else elements * math.ceil(BITS[fmt] / 8)


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a TensorProto keeps elements when not as raw bytes: the field and the dtype of one entry."""

    name: str
    dtype: Any


_FIELDS: Mapping[str, _Field] = MappingProxyType(
    {"fp32": _Field("float_data", np.float32), "fp64": _Field("double_data", np.float64)}
    | {"int64": _Field("int64_data", np.int64)}
    | {fmt: _Field("uint64_data", np.uint64) for fmt in ("uint32", "uint64")}
)
_RAW: Mapping[str, Any] = MappingProxyType(
    {"fp32": "<f4", "fp64": "<f8", "fp16": "<f2", "bf16": "<u2", "bool": np.bool_, "fp8": np.uint8}
    | {"fp8_e5m2": np.uint8, "int4": np.uint8, "uint4": np.uint8}
    | {f"{sign}int{bits}": f"<{'u' if sign else 'i'}{bits // 8}" for bits in (8, 16, 32, 64) for sign in ("", "u")}
)


def tensor_values(fmt: str, shape: tuple[int, ...], raw: bytes, entries: Any) -> Array:
    """The array of a tensor from its raw bytes, or from the ``entries`` of its typed field.

    Narrow floats come as float32, 4-bit integers as int8 or uint8.
    """
    count = math.prod(shape)
    bits = np.frombuffer(raw, _RAW[fmt]) if not entries else _from_entries(fmt, entries)
    if fmt in _PACKED and not entries:
        bits = np.stack([bits & 15, bits >> 4], axis=-1).ravel()
    return _decoded(fmt, bits[:count]).reshape(shape)


def typed_field(fmt: str) -> str:
    """Name of the TensorProto field that holds elements of a format when they are not raw bytes."""
    field = _FIELDS.get(fmt)
    return field.name if field else "int32_data"


def _from_entries(fmt: str, entries: Any) -> Array:
    field = _FIELDS.get(fmt)
    if field:
        return np.array(entries, field.dtype).astype(_RAW[fmt] if fmt == "uint32" else field.dtype)
    bits = np.array(entries, np.int32)
    if fmt in _PACKED:
        return np.stack([bits & 15, bits >> 4 & 15], axis=-1).ravel().astype(np.uint8)
    if fmt in ("fp16", "bf16"):
        return bits.astype(np.uint16).view(_RAW[fmt])
    return bits.astype(_RAW[fmt])


def _decoded(fmt: str, bits: Array) -> Array:
    """Values of stored elements."""
    if fmt == "int4":
        return ((bits.astype(np.int8) << 4) >> 4).astype(np.int8)
    decode = _DECODE.get(fmt)
    return decode(bits) if decode else bits


def _bf16(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _fp8(exponent: int, fraction: int) -> Callable[[Array], Array]:
    """Decoder of an 8-bit float (Micikevicius et al., FP8 Formats for Deep Learning, 2022, Table 1)."""
    codes = np.arange(256)
    field, part = codes >> fraction & ((1 << exponent) - 1), codes & ((1 << fraction) - 1)
    bias = (1 << (exponent - 1)) - 1
    size = np.where(field == 0, part / 2.0**fraction, 1 + part / 2.0**fraction)
    table = np.ldexp(size, np.maximum(field, 1) - bias)
    if exponent == 5:  # E5M2 keeps infinity and not-a-number as IEEE 754 does, E4M3 only one not-a-number
        table = np.where(field == 31, np.where(part == 0, np.inf, np.nan), table)
    else:
        table = np.where((codes & 127) == 127, np.nan, table)
    values = np.where(codes >= 128, -table, table).astype(np.float32)
    return lambda bits: values[bits]


_DECODE: Mapping[str, Callable[[Array], Array]] = MappingProxyType(
    {"bf16": _bf16, "fp8": _fp8(4, 3), "fp8_e5m2": _fp8(5, 2)}
)


def format_of(code: int, what: str) -> str:
    """Format of an element type; raises UnsupportedError for one that is not read."""
    if code not in FORMAT_OF:
        raise UnsupportedError(f"{what} has elements of type {element_name(code)}; hwsim reads {', '.join(TYPE_OF)}")
    return FORMAT_OF[code]
