"""What the file and ONNX's own shape inference say of tensors: for operators that hwsim has no shape rule of."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from hwsim.errors import InputError
from hwsim.workloads.onnx import inference
from hwsim.workloads.onnx.document import onnx_package
from hwsim.workloads.onnx.elements import FORMAT_OF
from hwsim.workloads.onnx.nodes import one_line
from hwsim.workloads.onnx.value import check_shape

__all__ = ["Declared", "declared_types"]

Declared = Mapping[str, tuple[tuple[int, ...], str]]

_SMALL = 4096
"""Bytes of an initializer that inference may look into; larger ones are weights, of which it needs the shape only."""


def declared_types(model: Any, dims: Mapping[str, int], file: str) -> Declared:
    """Shape and format of every tensor of which both are known, dimensions bound, data propagated.

    Raises:
        InputError: ONNX's inference refuses the model, or does not end.
    """
    onnx = onnx_package()
    bound = onnx.ModelProto()
    bound.CopyFrom(_without_weights(model))
    for item in bound.graph.input:
        for axis, dim in enumerate(item.type.tensor_type.shape.dim):
            name = dim.dim_param or f"{item.name}.{axis}"
            if name in dims:
                dim.Clear()
                dim.dim_value = dims[name]
    bound = onnx.ModelProto.FromString(_inferred(bound.SerializeToString(), file))
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for item in (*bound.graph.input, *bound.graph.value_info, *bound.graph.output):
        kind = item.type.tensor_type
        if kind.elem_type in FORMAT_OF and kind.HasField("shape"):
            shape = [dim.dim_value for dim in kind.shape.dim]
            if all(shape):
                fmt = FORMAT_OF[kind.elem_type]
                found[item.name] = (check_shape(f"{file}: tensor '{item.name}'", shape, fmt), fmt)
    return found


def _inferred(data: bytes, file: str) -> bytes:
    """The model with types of its tensors, from a process of its own."""
    command = [sys.executable, "-c", f"import {inference.__name__} as i; raise SystemExit(i.main())"]
    try:
        done = subprocess.run(  # noqa: S603 (this interpreter)
            command, input=data, capture_output=True, timeout=inference.SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{file}: ONNX's shape inference does not end within {inference.SECONDS} s") from None
    if done.returncode:
        says = one_line(done.stderr.decode(errors="replace").strip()[-300:]) or f"exit code {done.returncode}"
        raise InputError(f"{file}: ONNX's shape inference refuses this model: {says}")
    return done.stdout


def _without_weights(model: Any) -> Any:
    """A copy whose large initializers have a shape and no data."""
    copy = type(model)()
    copy.CopyFrom(model)
    for proto in copy.graph.initializer:
        if len(proto.raw_data) > _SMALL:
            proto.ClearField("raw_data")
    return copy
