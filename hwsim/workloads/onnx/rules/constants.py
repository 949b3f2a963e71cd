"""Rules of operators that make constants, of shapes and casts."""

from __future__ import annotations

import numpy as np

from hwsim.errors import InputError
from hwsim.operators.cast import Cast
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.document import stored_tensor
from hwsim.workloads.onnx.elements import format_of
from hwsim.workloads.onnx.rules.registry import rule
from hwsim.workloads.onnx.use import Use
from hwsim.workloads.onnx.value import Value

__all__: list[str] = []


@rule("Constant")
def _constant(use: Use) -> Value:
    kinds = {"value_float": "fp32", "value_floats": "fp32", "value_int": "int64", "value_ints": "int64"}
    for name, fmt in kinds.items():
        if name in use.attributes:
            return use.constant(use.attributes[name], fmt)
    if "value" not in use.attributes:
        raise use.refuse(f"with {', '.join(sorted(use.attributes)) or 'no value'}")
    return stored_tensor(use.attributes["value"], use.importer.folder, f"the value of '{use.name}'")


@rule("ConstantOfShape")
def _constant_of_shape(use: Use) -> Value:
    shape = use.numbers(0)
    number, fmt = 0.0, "fp32"
    if "value" in use.attributes:
        value = stored_tensor(use.attributes["value"], use.importer.folder, f"the value of '{use.name}'")
        if value.elements != 1 or value.make is None:
            raise InputError(f"value must have one element, not shape {list(value.shape)}")
        number, fmt = value.make().ravel()[0], value.format
    return use.filled(shape, number, fmt)


@rule("Shape")
def _shape(use: Use) -> Value:
    rank = len(use.at(0).shape)
    start, end = use.whole("start"), use.whole("end", rank)
    return use.constant(np.array(use.at(0).shape[slice(start, end)], np.int64), "int64")


@rule("Size")
def _size(use: Use) -> Value:
    return use.constant(use.at(0).elements, "int64")


@rule("Range")
def _range(use: Use) -> Value:
    start, limit, delta = (use.scalar(i) for i in range(3))
    if delta == 0:
        raise InputError("delta must not be 0")
    count = max(0, int(np.ceil((limit - start) / delta)))
    if count > limits.FOLDED:
        raise InputError(f"{count:,} numbers; at most {limits.FOLDED:,} are read")
    return use.constant(start + delta * np.arange(count), use.at(0).format)


@rule("EyeLike")
def _eye(use: Use) -> Value:
    x = use.at(0)
    if len(x.shape) != 2 or x.elements > limits.FOLDED:
        raise InputError(f"x {list(x.shape)} must have two axes and at most {limits.FOLDED:,} elements")
    fmt = format_of(use.whole("dtype"), "the result") if "dtype" in use.attributes else x.format
    return use.constant(np.eye(*x.shape, k=use.whole("k")), fmt)


@rule("Cast", "CastLike")
def _cast(use: Use) -> Value:
    x = use.at(0)
    fmt = format_of(use.whole("to"), "the result") if use.kind == "Cast" else use.at(1).format
    if fmt == x.format:
        return x
    saturate = bool(use.whole("saturate", 1)) if fmt in ("fp8", "fp8_e5m2") else None
    return use.add(Cast(use.graph_format(fmt), truncate=True, saturate=saturate), x)
