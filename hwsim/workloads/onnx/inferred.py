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

__all__ = ["Declared", "inferred_types", "stated_types"]

Declared = Mapping[str, tuple[tuple[int, ...], str]]

_SMALL = 4096
"""Bytes of an initializer that inference may look into; larger ones are weights, of which it needs the shape only."""


def stated_types(model: Any, dims: Mapping[str, int], file: str) -> Declared:
    """Shape and format of every tensor of which the file itself says both, dimensions bound."""
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    for item in _items(model.graph):
        kind = item.type.tensor_type
        if kind.elem_type in FORMAT_OF and kind.HasField("shape"):
            sizes = (dim.dim_value or dims.get(_name(item, axis, dim), 0) for axis, dim in enumerate(kind.shape.dim))
            shape = tuple(sizes)
            if all(shape):
                fmt = FORMAT_OF[kind.elem_type]
                found[item.name] = (check_shape(f"{file}: tensor '{item.name}'", shape, fmt), fmt)
    return found


def inferred_types(model: Any, dims: Mapping[str, int], file: str) -> Declared:
    """The same after ONNX's shape inference, data propagated.

    Raises:
        InputError: the inference refuses the model, or does not end.
    """
    bound = onnx_package().ModelProto()
    bound.CopyFrom(_without_weights(model))
    for item in _items(bound.graph):
        for axis, dim in enumerate(item.type.tensor_type.shape.dim):
            size = dims.get(_name(item, axis, dim))
            if size is not None:
                dim.Clear()
                dim.dim_value = size
    known = onnx_package().ModelProto.FromString(_inferred(bound.SerializeToString(), file))
    return stated_types(known, dims, file)


def _items(graph: Any) -> tuple[Any, ...]:
    return (*graph.input, *graph.value_info, *graph.output)


def _name(item: Any, axis: int, dim: Any) -> str:
    return dim.dim_param or f"{item.name}.{axis}"


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
