"""The ONNX project's test cases of single operators, run on hwsim's kernels.

The cases come with the package ``onnx`` (``onnx.backend.test``): a model of one operator, inputs, and the outputs the
standard wants. Nobody here wrote them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim.errors import HwsimError, UnsupportedError
from hwsim.functional.run import run_reference
from hwsim.graph.operator import Array
from hwsim.workloads.onnx.document import onnx_package, stored_tensor
from hwsim.workloads.onnx.elements import TYPE_OF
from hwsim.workloads.onnx.importer import Imported, import_model

__all__ = ["CaseResult", "cases", "check_case", "judged", "operator_of"]

_NARROW = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_PACKED = ("int4", "uint4")
_LAST_PLACE: Mapping[str, float] = MappingProxyType({"fp16": 2.0**-10, "bf16": 2.0**-7})
"""Relative size of the last place of the narrow floats, whose rounding inside an operator the standard leaves open."""
_ULPS = 2.0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: its operator, and ``verdict`` passed, not supported or failed, with the ``reason``."""

    name: str
    operator: str
    verdict: str
    reason: str = ""


def cases(operators: Collection[str] = ()) -> list[Any]:
    """The cases of those operators, or of all; each has ``name``, ``model``, ``data_sets``, ``rtol`` and ``atol``.

    Raises:
        InputError: the package onnx is missing.
    """
    onnx_package()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases compute overflows and logarithms of zero on purpose
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    names = operator_of(found)
    return [case for case in found if not operators or names[case.name] in operators]


def operator_of(found: Sequence[Any]) -> dict[str, str]:
    """The operator each case is about, by the name of the case; an expanded one is about that of its short form."""
    short = {case.name: case.model.graph.node[0] for case in found if "_expanded" not in case.name}
    names: dict[str, str] = {}
    for case in found:
        node = short.get(case.name.partition("_expanded")[0], case.model.graph.node[0])
        names[case.name] = f"{node.domain}::{node.op_type}" if node.domain else str(node.op_type)
    return names


def judged(
    found: Sequence[Any], names: Mapping[str, str], advance: Callable[..., None] | None = None
) -> Iterator[CaseResult]:
    """The verdict on each case; ``names`` are from :func:`operator_of`."""
    for case in found:
        verdict, reason = check_case(case)
        yield CaseResult(case.name, names[case.name], verdict, reason)
        if advance is not None:
            advance()


def check_case(case: Any) -> tuple[str, str]:
    """(verdict, reason) of a case: passed, not supported or failed."""
    for inputs, outputs in case.data_sets:
        names = [item.name for item in case.model.graph.input]
        try:
            given = {name: _plain(value) for name, value in zip(names, inputs, strict=False)}
            wanted = [_plain(value) for value in outputs]
            found = import_model(case.model, case.name, given=given, keep_formats=True)
            values = _values(found, given)
        except UnsupportedError as error:
            return "not supported", str(error).removeprefix(f"{case.name}: ")
        except HwsimError as error:
            return "failed", str(error)
        fault = _difference(values, found, case, wanted)
        if fault:
            return "failed", fault
    return "passed", ""


def _plain(value: Any) -> Array:
    """A value of a case in a dtype of NumPy's own: narrow floats in float32, 4-bit integers in int8 or uint8.

    Raises:
        UnsupportedError: it is a sequence, an optional value, or of a type that is not read.
    """
    if hasattr(value, "data_type"):
        stored = stored_tensor(value, None, "a value of the case")
        return np.empty(0) if stored.make is None else stored.make()
    if not isinstance(value, np.ndarray | np.generic):
        raise UnsupportedError("sequences and optional values")
    array = np.asarray(value)
    if array.dtype.name in _NARROW:
        return array.astype(np.float32)
    if array.dtype.name in _PACKED:
        return array.astype(np.int8 if array.dtype.name == "int4" else np.uint8)
    return array


def _values(found: Imported, given: Mapping[str, Array]) -> dict[str, Array]:
    """Every output of the case."""
    tensors = found.graph.tensors
    inputs = {name: array for name, array in given.items() if name in tensors}
    with np.errstate(all="ignore"):
        values = run_reference(found.graph, inputs)
    for name, value in found.outputs.items():
        if name not in values and value.make is not None:
            values[name] = value.make()
    return values


def _difference(values: Mapping[str, Array], found: Imported, case: Any, outputs: Sequence[Array]) -> str:
    """What differs from the outputs the standard wants, or an empty text."""
    for item, exact in zip(case.model.graph.output, outputs, strict=False):
        if item.name not in values:
            return f"output '{item.name}' is missing"
        array = values[item.name]
        if array.shape != exact.shape:
            return f"output '{item.name}' has shape {list(array.shape)}, not {list(exact.shape)}"
        fmt, code = found.outputs[item.name].format, item.type.tensor_type.elem_type
        if TYPE_OF[fmt] != code:
            return f"output '{item.name}' is {fmt}, not element type {code}"
        rtol = max(case.rtol, _ULPS * _LAST_PLACE.get(fmt, 0.0))
        close = np.isclose(array.astype(exact.dtype), exact, rtol=rtol, atol=case.atol, equal_nan=True)
        if not close.all():
            return f"output '{item.name}': {int((~close).sum())} of {close.size} elements differ"
    return ""
