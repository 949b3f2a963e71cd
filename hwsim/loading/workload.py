"""The ``workload:`` of scenarios and sweeps: a name of the library or an ONNX file, and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwsim.errors import InputError
from hwsim.loading.document import Keys, Node
from hwsim.loading.faults import Faults
from hwsim.registry import known_names
from hwsim.specs.scenario import WorkloadSpec
from hwsim.units import shown
from hwsim.workloads.registry import WORKLOADS

__all__ = ["WORKLOAD_SCHEMA", "read_workload"]

WORKLOAD_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            {"type": "object", "required": ["onnx"], "properties": {"onnx": {"type": "string"}}},
        ]
    }
)
_ONNX_KEYS = ("dims", "dtype")


def read_workload(raw: Any, at: Keys, top: Node, path: Path, faults: Faults) -> WorkloadSpec:
    """The workload at ``at`` of a document, its name and its arguments checked; faults are collected.

    Args:
        raw: plain data: a name, or a mapping of ``name`` or ``onnx`` and arguments.
        at: where it stands.
        top: the document.
        path: the file, from whose folder the path of an ONNX file is taken.
        faults: takes what is wrong.
    """
    if isinstance(raw, str):
        raw = {"name": raw}
    if not isinstance(raw, dict) or ("name" in raw) == ("onnx" in raw):
        faults.add(*top.locate(at), "write the name of a workload, {name: ..., batch: 8, ...} or {onnx: model.onnx}")
        return WorkloadSpec()
    params = {key: value for key, value in raw.items() if key not in {"name", "onnx"}}
    if "onnx" in raw:
        return _onnx(raw["onnx"], params, at, top, path, faults)
    name = raw["name"]
    if not isinstance(name, str) or name not in WORKLOADS:
        keys = (*at, "name") if top.locate((*at, "name"))[0] != top.locate(at)[0] else at
        known = known_names(str(name), sorted(WORKLOADS))
        faults.add(*top.locate(keys), f"no workload named {shown(name)}{known}")
        return WorkloadSpec()
    for key, value in params.items():
        try:
            WORKLOADS[name].parameter(key).check(value)
        except InputError as error:
            faults.add(*top.locate((*at, key)), str(error))
    return WorkloadSpec(name=name, params=MappingProxyType(params))


def _onnx(raw: Any, params: dict[str, Any], at: Keys, top: Node, path: Path, faults: Faults) -> WorkloadSpec:
    for key in params:
        if key not in _ONNX_KEYS:
            faults.add(*top.locate((*at, key), key=True), f"no key {shown(key)} here{known_names(key, _ONNX_KEYS)}")
    if not isinstance(raw, str) or not (path.parent / raw).is_file():
        faults.add(*top.locate((*at, "onnx")), f"no such file: {shown(raw)}, looked for beside {path.name}")
        return WorkloadSpec()
    return WorkloadSpec(onnx=str(path.parent / raw), params=MappingProxyType(params))
