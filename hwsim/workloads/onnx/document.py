"""Reading an ONNX file: bounded, checked, its tensors not yet looked at. The only place that parses protobuf."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import InputError, UnsupportedError
from hwsim.graph.operator import Array
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.elements import format_of, stored_bytes, tensor_values, typed_field
from hwsim.workloads.onnx.value import Value, check_shape

__all__ = ["check_texts", "default_opset", "functions_of", "onnx_package", "read_model", "stored_tensor"]

_OLDEST = 7
_DEFAULT = ("", "ai.onnx")


def onnx_package() -> Any:
    """The ``onnx`` package; raises InputError saying how to install it."""
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise InputError("ONNX files need the package onnx: pip install 'hwsim[onnx]'") from None


def read_model(path: Path) -> Any:
    """The ModelProto of a file, its external data left where it is.

    Raises:
        InputError: no such file, one that is too large, no protobuf, or no model in it.
    """
    onnx = onnx_package()
    try:
        size = path.stat().st_size
        if size > limits.BYTES:
            raise InputError(
                f"{path}: {size:,} bytes; at most {limits.BYTES:,} are read (keep weights as external data)"
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read this file: {error.strerror}") from None
    return parse_model(data, str(path), onnx)


def parse_model(data: bytes, name: str, onnx: Any = None) -> Any:
    """The ModelProto in some bytes; raises InputError unless they are a whole one."""
    onnx = onnx or onnx_package()
    decode_error = importlib.import_module("google.protobuf.message").DecodeError
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (decode_error, RuntimeError):
        raise InputError(
            f"{name}: no whole ONNX model in {len(data):,} bytes: it is truncated, or another kind of file"
        ) from None
    if not model.HasField("graph"):
        raise InputError(f"{name}: no graph in this file; it is no ONNX model, or was cut short")
    return model


def check_texts(model: Any, name: str) -> None:
    """Raise InputError for a name that is no readable text, so that every message is one line."""
    graph = model.graph
    named = [*graph.input, *graph.output, *graph.initializer, *graph.value_info, *model.functions]
    texts: list[Any] = [graph.name, *(item.name for item in named)]
    texts += [item.domain for item in (*model.opset_import, *model.functions)]
    texts += [dim.dim_param for item in graph.input for dim in item.type.tensor_type.shape.dim]
    for function in model.functions:
        texts += [*function.input, *function.output]
    for node in every_node([*graph.node, *(node for function in model.functions for node in function.node)]):
        texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
        texts += [text for a in node.attribute for text in (a.name, a.ref_attr_name)]
        texts += [item.name for a in node.attribute for item in (*a.g.input, *a.g.output, *a.g.initializer)]
    for text in texts:
        if not isinstance(text, str) or not text.isprintable():
            raise InputError(f"{name}: {ascii(text)[:80]} is no name: names are printable UTF-8")


def default_opset(model: Any, name: str) -> int:
    """Version of the standard operators, the newest for a model that uses none.

    Raises:
        InputError: no version, or two.
        UnsupportedError: a version that is not read.
    """
    newest: int = onnx_package().defs.onnx_opset_version()
    versions = {entry.version for entry in model.opset_import if entry.domain in _DEFAULT}
    if not versions and not any(node.domain in _DEFAULT for node in model.graph.node):
        return newest
    if len(versions) != 1:
        said = "no version" if not versions else "versions " + " and ".join(map(str, sorted(versions)))
        raise InputError(f"{name}: opset_import gives {said} of the standard operators; one of {_OLDEST} to {newest}")
    (version,) = versions
    if not _OLDEST <= version <= newest:
        raise UnsupportedError(
            f"{name}: opset {version} is not read; hwsim reads {_OLDEST} to {newest}: export the model again, or "
            "convert it with onnx.version_converter"
        )
    return int(version)


def functions_of(model: Any, name: str) -> dict[tuple[str, str], Any]:
    """Functions by (domain, name); raises InputError for two of one name, or one that calls itself."""
    found: dict[tuple[str, str], Any] = {}
    for function in model.functions:
        key = (_domain(function.domain), function.name)
        if key in found:
            raise InputError(f"{name}: two functions are named '{_shown(key)}'")
        found[key] = function
    calls = {key: _called(function.node, found) for key, function in found.items()}
    _refuse_circles({key: list(dict.fromkeys(called)) for key, called in calls.items()}, name)
    own = {key: len(function.node) for key, function in found.items()}
    sizes: dict[tuple[str, str], int] = {}
    for key in found:
        _size(key, calls, own, sizes)
    total = len(model.graph.node) + sum(sizes[key] for key in _called(model.graph.node, found))
    if total > limits.NODES:
        raise InputError(f"{name}: more than {limits.NODES:,} nodes, those inside functions counted: {total:,}")
    return found


def _size(
    key: tuple[str, str],
    calls: Mapping[tuple[str, str], Sequence[tuple[str, str]]],
    own: Mapping[tuple[str, str], int],
    known: dict[tuple[str, str], int],
) -> int:
    """Nodes that a call of a function reads; functions are no deeper than CALLS and none calls itself."""
    if key not in known:
        known[key] = own[key] + sum(_size(inner, calls, own, known) for inner in calls[key])
    return known[key]


def _called(nodes: Any, known: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    """Functions that some nodes call, as often as they do, those in their subgraphs included."""
    called = []
    for node in every_node(nodes):
        key = (_domain(node.domain), node.op_type)
        if key in known:
            called.append(key)
    return called


def every_node(nodes: Any) -> Iterator[Any]:
    """Nodes and those of their subgraphs, without recursion."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            waiting.extend(attribute.g.node)
            for graph in attribute.graphs:
                waiting.extend(graph.node)


def _refuse_circles(calls: dict[tuple[str, str], list[tuple[str, str]]], name: str) -> None:
    done: set[tuple[str, str]] = set()
    for start, called in calls.items():
        path: list[tuple[tuple[str, str], Iterator[tuple[str, str]]]] = [(start, iter(called))]
        open_: dict[tuple[str, str], None] = {start: None}
        while path:
            key, rest = path[-1]
            following = next((k for k in rest if k not in done), None)
            if following is None:
                path.pop()
                open_.pop(key)
                done.add(key)
            elif following in open_:
                circle = [*list(open_)[list(open_).index(following) :], following]
                raise InputError(f"{name}: recursive functions: {' calls '.join(_shown(k) for k in circle)}")
            else:
                path.append((following, iter(calls[following])))
                open_[following] = None
            if len(path) > limits.CALLS:
                raise InputError(f"{name}: functions call each other {len(path)} deep; at most {limits.CALLS} are read")


def _domain(domain: str) -> str:
    return "" if domain in _DEFAULT else domain


def _shown(key: tuple[str, str]) -> str:
    return "::".join(part for part in key if part)


def stored_tensor(proto: Any, folder: Path | None, what: str) -> Value:
    """A constant from a TensorProto, its bytes counted but not yet converted.

    Args:
        proto: the tensor.
        folder: where the model lies, for external data; None if that cannot be.
        what: how messages call the tensor.

    Raises:
        InputError: a type that is not read, an impossible shape, or fewer or more bytes than the shape needs.
    """
    if not hasattr(proto, "data_type"):
        raise InputError(f"{what} is no tensor")
    fmt = format_of(proto.data_type, what)
    shape = check_shape(what, proto.dims, fmt)
    if proto.HasField("segment"):
        raise InputError(f"{what} is stored in segments, which hwsim does not read")
    if proto.data_location == 1:
        make = _external(proto, fmt, shape, folder, what)
        return Value(shape=shape, format=fmt, make=make, weight=True, name=proto.name)
    entries = getattr(proto, typed_field(fmt))
    count = math.prod(shape)
    if proto.HasField("raw_data"):
        needed, stored = stored_bytes(fmt, count), len(proto.raw_data)
        unit = "bytes"
    else:
        needed, stored = (stored_bytes(fmt, count) if fmt in ("int4", "uint4") else count), len(entries)
        unit = "entries"
    if needed != stored:
        raise InputError(
            f"{what} of shape {list(shape)} in {fmt} needs {needed:,} {unit}, but the file holds {stored:,}"
        )
    raw = proto.raw_data
    return Value(
        shape=shape,
        format=fmt,
        make=lambda: tensor_values(fmt, shape, raw, () if unit == "bytes" else entries),
        weight=True,
        name=proto.name,
    )


def _external(
    proto: Any, fmt: str, shape: tuple[int, ...], folder: Path | None, what: str
) -> Callable[[], Array] | None:
    """How to read external data, or None where its file is absent; raises InputError for a place outside the folder."""
    told = {entry.key: entry.value for entry in proto.external_data}
    location = told.get("location", "")
    if folder is None or not location or Path(location).is_absolute() or ".." in Path(location).parts:
        raise InputError(f"{what}: external data must lie beside the model, not at '{location}'")
    needed = stored_bytes(fmt, math.prod(shape))
    offset_text, length = told.get("offset") or "0", told.get("length") or str(needed)
    if not (offset_text.isdecimal() and length == str(needed) and len(offset_text) < 20):
        raise InputError(f"{what}: external data must be {needed:,} bytes from offset 0 or later, not {told}")
    offset = int(offset_text)
    path = folder / location
    try:
        if not path.is_file():
            return None
        size = path.stat().st_size
    except (OSError, ValueError):
        return None
    if size < offset + needed:
        raise InputError(f"{what} needs {needed:,} bytes from {offset:,} of {path}, which has {size:,}")

    def read() -> Array:
        with path.open("rb") as file:
            file.seek(offset)
            return tensor_values(fmt, shape, file.read(needed), ())

    return read
