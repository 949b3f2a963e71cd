"""The inputs of an ONNX graph: which there are, and their shapes once every symbolic dimension has a size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hwsim.errors import InputError, UnknownNameError, UnsupportedError
from hwsim.graph.operator import Array
from hwsim.registry import known_names
from hwsim.workloads.onnx.elements import format_of
from hwsim.workloads.onnx.value import check_shape

__all__ = ["input_types", "symbols_of"]

_TERM = re.compile(r"\s*([+*-]?)\s*([A-Za-z_][\w./:]*|\d+)\s*")


def symbols_of(graph: Any) -> dict[str, str]:
    """Symbolic dimensions of a graph's inputs, each with the first place it stands at.

    An axis without size and name is called after its input, e.g. ``x.0``.
    """
    stored = {proto.name for proto in graph.initializer}
    found: dict[str, str] = {}
    for item in graph.input:
        if item.name not in stored:
            for axis, dim in enumerate(item.type.tensor_type.shape.dim):
                if not _size(dim):
                    found.setdefault(dim.dim_param or f"{item.name}.{axis}", f"axis {axis} of input '{item.name}'")
    return found


def _size(dim: Any) -> int:
    """A fixed extent, 0 where there is none (0 in a file means unknown)."""
    return int(dim.dim_value) if dim.HasField("dim_value") else 0


def input_types(
    graph: Any, dims: Mapping[str, int], given: Mapping[str, Array], stored: Iterable[str], file: str
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and format of every input that is no stored constant.

    Args:
        graph: the GraphProto.
        dims: sizes of symbolic dimensions.
        given: arrays of inputs, whose shapes hold whatever the file says.
        stored: names of constants, which old files list among the inputs.
        file: its name, for messages.

    Raises:
        InputError: dimensions without a size, all of them named.
        UnsupportedError: a type that is not read.
        UnknownNameError: a size for a dimension that no input has.
    """
    symbols = symbols_of(graph)
    for name, size in dims.items():
        if name not in symbols:
            raise UnknownNameError(f"{file}: no input has a dimension '{name}'{known_names(name, symbols)}")
        if size < 1:
            raise InputError(f"{file}: dimension '{name}': write a whole number of at least 1, not {size!r}")
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    missing: dict[str, str] = {}
    constants = set(stored)
    for item in graph.input:
        if item.name in constants:
            continue
        if item.name in found:
            raise InputError(f"{file}: two inputs are named '{item.name}'")
        what = f"{file}: input '{item.name}'"
        kind = item.type.WhichOneof("value")
        if kind != "tensor_type":
            raise UnsupportedError(f"{what} is {'of no type' if kind is None else f'a {kind[:-5]}'}, not a tensor")
        fmt = format_of(item.type.tensor_type.elem_type, what)
        if item.name in given:
            found[item.name] = (check_shape(what, given[item.name].shape, fmt), fmt)
            continue
        if not item.type.tensor_type.HasField("shape"):
            raise InputError(f"{what} has no shape; store one in the file, symbolic names for what varies")
        shape = [
            _extent(dim, f"{item.name}.{axis}", dims, missing, symbols)
            for axis, dim in enumerate(item.type.tensor_type.shape.dim)
        ]
        found[item.name] = (check_shape(what, shape, fmt), fmt)
    if missing:
        listed = ", ".join(f"'{name}' ({where})" for name, where in missing.items())
        first = next(iter(missing))
        raise InputError(
            f"{file}: dimensions without a size: {listed}; write e.g. --set {first}=1 (Python: dims={{'{first}': 1}})"
        )
    return found


def _extent(dim: Any, place: str, dims: Mapping[str, int], missing: dict[str, str], symbols: Mapping[str, str]) -> int:
    size = _size(dim)
    if size:
        return size
    name = dim.dim_param or place
    if name in dims:
        return dims[name]
    computed = _sum(name, dims)
    if computed is None:
        missing[name] = symbols[name]
        return 1
    return computed


def _sum(text: str, dims: Mapping[str, int]) -> int | None:
    """Value of a name like ``past + seq`` or ``2*batch`` whose parts have sizes, left to right; None for others."""
    total, at = 0, 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None or (at > 0) != bool(term[1]):
            return None
        part = int(term[2]) if term[2].isdigit() else dims.get(term[2])
        if part is None:
            return None
        total = total * part if term[1] == "*" else total - part if term[1] == "-" else total + part
        at = term.end()
    return total if total > 0 else None
