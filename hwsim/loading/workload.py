"""The ``workload:`` of scenarios and sweeps: a name of the library or an ONNX file, and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwsim.errors import InputError, UnknownNameError
from hwsim.graph.tensor import AUTO, SCHEMES
from hwsim.loading.document import Node
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
_ONNX_KEYS = ("dims", "dtype", "allow_unknown", "passes")


def read_workload(node: Node, at: str, path: Path, faults: Faults) -> WorkloadSpec:
    """A workload, its name and its arguments checked; faults are collected.

    Args:
        node: a name, or a mapping of ``name`` or ``onnx`` and arguments.
        at: the dotted path of the node, for messages.
        path: the file, from whose folder the path of an ONNX file is taken.
        faults: takes what is wrong.
    """
    if isinstance(node.value, str):
        node = Node({"name": node}, node.place, {"name": node.place})
    if not isinstance(node.value, dict) or ("name" in node.value) == ("onnx" in node.value):
        faults.add(node.place, at, "write the name of a workload, {name: ..., batch: 8, ...} or {onnx: model.onnx}")
        return WorkloadSpec()
    params = {key: value.plain() for key, value in node.value.items() if key not in {"name", "onnx"}}
    if "onnx" in node.value:
        return _onnx(node, params, at, path, faults)
    name = node.value["name"].value
    if not isinstance(name, str) or name not in WORKLOADS:
        known = known_names(str(name), sorted(WORKLOADS))
        faults.add(node.value["name"].place, f"{at}.name", f"no workload named {shown(name)}{known}")
        return WorkloadSpec()
    for key, value in params.items():
        try:
            WORKLOADS[name].parameter(key).check(value)
        except UnknownNameError as error:
            faults.add(node.keys[key], f"{at}.{key}", str(error))
        except InputError as error:
            faults.add(node.value[key].place, f"{at}.{key}", str(error))
    return WorkloadSpec(name=name, params=MappingProxyType(params))


def _onnx(node: Node, params: dict[str, Any], at: str, path: Path, faults: Faults) -> WorkloadSpec:
    for key in params:
        if key not in _ONNX_KEYS:
            faults.add(node.keys[key], f"{at}.{key}", f"no key {shown(key)} here{known_names(key, _ONNX_KEYS)}")
    dims, dtype, allowed = params.get("dims", {}), params.get("dtype", AUTO), params.get("allow_unknown", False)
    if not isinstance(dims, dict) or any(type(size) is not int or size < 1 for size in dims.values()):
        faults.add(
            node.value["dims"].place, f"{at}.dims", "write sizes of at least 1 by name, e.g. {batch: 8, seq: 128}"
        )
    if dtype not in (AUTO, "file", *SCHEMES):
        known = known_names(str(dtype), (AUTO, "file", *SCHEMES))
        faults.add(node.value["dtype"].place, f"{at}.dtype", f"no format or scheme named {shown(dtype)}{known}")
    if not isinstance(allowed, bool):
        faults.add(
            node.value["allow_unknown"].place, f"{at}.allow_unknown", f"write true or false, not {shown(allowed)}"
        )
    model = node.value["onnx"]
    if not isinstance(model.value, str) or not (path.parent / model.value).is_file():
        faults.add(model.place, f"{at}.onnx", f"no such file: {shown(model.value)}, looked for beside {path.name}")
        return WorkloadSpec()
    return WorkloadSpec(onnx=str(path.parent / model.value), params=MappingProxyType(params))
