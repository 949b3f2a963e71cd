"""The libraries as JSON documents: chips, systems, workloads, policies, operators."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from hwsim.devices.base import KINDS
from hwsim.graph.operator import Operator
from hwsim.placement.problem import Policy
from hwsim.report.document import plain
from hwsim.specs.device import DeviceSpec
from hwsim.specs.system import SystemSpec
from hwsim.workloads.registry import Family, Workload

__all__ = ["device_entry", "family_entry", "operator_entry", "policy_entry", "system_entry", "workload_entry"]


def device_entry(device: DeviceSpec) -> dict[str, Any]:
    """A chip: derived peaks, ridge points, memories, power, stacks; SI units."""
    peaks = {name: peak for name, peak in KINDS[device.kind].peaks(device).items() if peak > 0}
    bandwidth = device.main_memory.bandwidth_bytes_per_s
    names = ("name", "capacity_bytes", "bandwidth_bytes_per_s", "energy_j_per_byte", "source", "assumption")
    entry: dict[str, Any] = {
        "name": device.name,
        "title": device.title,
        "kind": device.kind,
        "aliases": list(device.aliases),
        "preferred_dtype": device.preferred_dtype,
        "peak_op_per_s": peaks,
        "datasheet_op_per_s": dict(device.datasheet.peak_op_per_s),
        "ridge_op_per_byte": {name: peak / bandwidth for name, peak in peaks.items()} if bandwidth else {},
        "memory": [{name: getattr(level, name) for name in names} for level in device.memory],
        "tdp_w": device.power.tdp_w,
        "idle_w": device.power.idle_w,
        "software": {name: _stack(stack) for name, stack in device.software.items()},
        "source": device.core.source,
        "assumption": device.core.assumption,
        "note": device.note,
    }
    shown: dict[str, Any] = plain(entry)
    return shown


def _stack(stack: Any) -> dict[str, Any]:
    names = ("basis", "launch_s", "dispatch_s", "fitted_to", "assumption")
    lists = {"passes": list(stack.passes), "timing": list(stack.timing), "validated_percent": dict(stack.validated)}
    return {name: getattr(stack, name) for name in names} | lists


def system_entry(system: SystemSpec) -> dict[str, Any]:
    """A system: its devices by role, and its links."""
    links = [
        {
            "between": list(link.between),
            "bandwidth_bytes_per_s": link.bandwidth_bytes_per_s,
            "latency_s": link.latency_s,
        }
        for link in system.links
    ]
    devices = {role: device.name for role, device in system.devices.items()}
    shown: dict[str, Any] = plain({"name": system.name, "title": system.title, "devices": devices, "links": links})
    return shown


def workload_entry(entry: Workload, *, whole: bool = False) -> dict[str, Any]:
    """A workload and its parameters; ``whole`` builds it and counts."""
    parameters = {
        p.name: {"type": p.type.__name__, "default": p.default, "doc": p.doc} for p in entry.parameters.values()
    }
    found: dict[str, Any] = {"name": entry.name, "title": entry.title, "item": entry.item, "source": entry.source}
    found["arguments"] = parameters
    if whole:
        graph = entry.build()
        phases = [{"name": p.name, "repeats": p.repeat, "operators": p.last - p.first} for p in graph.phases]
        found |= {"parameters": graph.parameters, "macs": graph.macs, "flop": graph.flop}
        found |= {"weight_bytes": graph.weight_bytes, "items": graph.items, "phases": phases}
    shown: dict[str, Any] = plain(found)
    return shown


def family_entry(family: Family) -> dict[str, Any]:
    """A family of networks that are named but not listed."""
    examples = list(family.examples)
    return {"name": family.name, "title": family.title, "source": family.source, "examples": examples}


def policy_entry(policy: Policy) -> dict[str, Any]:
    """A placement policy."""
    return {"name": policy.name, "title": policy.title, "options": list(policy.options), "source": policy.source}


def operator_entry(op: type[Operator]) -> dict[str, Any]:
    """An operator and its attributes."""
    fields = {item.name: _default(item) for item in dataclasses.fields(op)}  # type: ignore[arg-type]
    return {"kind": op.kind, "doc": inspect.cleandoc(op.__doc__ or ""), "attributes": fields}


def _default(item: dataclasses.Field[Any]) -> Any:
    return None if item.default is dataclasses.MISSING else repr(item.default)
