"""The libraries as tables, and one entry whole: chips, systems, workloads, policies, operators."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from hwsim.devices.base import KINDS
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import scheme
from hwsim.placement.problem import Policy
from hwsim.report.figures import counted
from hwsim.report.tables import key_values, plain_table
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import SystemSpec
from hwsim.units import format_quantity
from hwsim.workloads.registry import Family, Workload

__all__ = [
    "device_page",
    "devices_table",
    "families_by_error",
    "families_table",
    "operator_page",
    "operators_table",
    "policies_table",
    "system_page",
    "systems_table",
    "workload_page",
    "workloads_table",
]


def _peaks(device: DeviceSpec) -> Mapping[str, float]:
    return {name: peak for name, peak in KINDS[device.kind].peaks(device).items() if peak > 0}


def _rate(value: float) -> str:
    return "infinite" if math.isinf(value) else format_quantity(value, "OP/s", 3)


def _origin(section: Any) -> str:
    return section.source or f"assumption: {section.assumption}"


def devices_table(devices: Sequence[DeviceSpec]) -> Table:
    """One row a chip."""
    rows = []
    for device in devices:
        matrix = scheme(device.preferred_dtype).matrix
        peak = _peaks(device).get(matrix, 0.0)
        main = device.main_memory
        rows.append(
            (
                device.name,
                device.title,
                device.kind,
                f"{_rate(peak)} {matrix}",
                format_quantity(main.bandwidth_bytes_per_s, "B/s", 3) if main.bandwidth_bytes_per_s else "infinite",
                format_quantity(main.capacity_bytes, "B", 3) if main.capacity_bytes else "unlimited",
                format_quantity(device.power.tdp_w, "W", 3),
                _stacks(device),
            )
        )
    heads = ("name", "title", "kind", "peak", "bandwidth", "memory", "TDP", "software")
    spare = ("software", "title", "kind")
    return plain_table("Devices", heads, rows, ("peak", "bandwidth", "memory", "TDP"), optional=spare)


def _stacks(device: DeviceSpec) -> str:
    """The default stack and how many others there are."""
    first, *others = device.software
    return f"{first} and {len(others)} more" if others else first


def systems_table(systems: Sequence[SystemSpec]) -> Table:
    """One row a system."""
    rows = [(s.name, s.title, ", ".join(f"{role}: {d.name}" for role, d in s.devices.items())) for s in systems]
    return plain_table("Systems", ("name", "title", "devices"), rows)


def device_page(device: DeviceSpec) -> list[Table]:
    """A chip whole: derived peaks against the datasheet, ridge points, memories, power, stacks, sources."""
    head = [
        ("kind", device.kind),
        ("process", device.process or "not given"),
        ("preferred precision", device.preferred_dtype),
        ("known in data as", ", ".join(device.aliases) or "nothing else"),
        ("file", device.path),
    ]
    if device.note:
        head.append(("note", device.note))
    sources = [(device.kind, _origin(device.core))]
    sources += [(f"memory.{level.name}", _origin(level)) for level in device.memory]
    sources.append(("power", _origin(device.power)))
    if device.datasheet.peak_op_per_s:
        sources.append(("datasheet", _origin(device.datasheet)))
    for name, stack in device.software.items():
        fitted = stack.fitted_to and f"fitted to {stack.fitted_to}"
        sources.append((f"software.{name}", fitted or f"assumption: {stack.assumption}"))
    return [
        key_values(f"{device.name}: {device.title}", head),
        _peaks_table(device),
        _memories_table(device),
        key_values("Power", _watts(device)),
        _stacks_table(device),
        key_values("Sources", sources),
    ]


def _peaks_table(device: DeviceSpec) -> Table:
    """Units x operations per clock x clock by format, against the datasheet."""
    bandwidth = device.main_memory.bandwidth_bytes_per_s
    rows = []
    for name, peak in _peaks(device).items():
        sheet = device.datasheet.peak_op_per_s.get(name)
        against = (_rate(sheet), f"{100 * (peak / sheet - 1):+.1f} %") if sheet else ("", "")
        ridge = f"{peak / bandwidth:.4g} FLOP/B" if bandwidth and math.isfinite(peak) else ""
        rows.append((name, _rate(peak), *against, ridge))
    heads = ("format", "peak", "datasheet", "off by", "ridge point")
    return plain_table("Derived peaks", heads, rows, heads[1:])


def _memories_table(device: DeviceSpec) -> Table:
    rows = [
        (
            level.name,
            format_quantity(level.capacity_bytes, "B") if level.capacity_bytes else "",
            format_quantity(level.bandwidth_bytes_per_s, "B/s") if level.bandwidth_bytes_per_s else "",
            format_quantity(level.energy_j_per_byte / 8, "J/bit", 3) if level.energy_j_per_byte else "",
            level.boundary,
        )
        for level in device.memory
    ]
    heads = ("name", "capacity", "bandwidth", "energy", "energy counts the")
    return plain_table("Memories", heads, rows, heads[1:4])


def _watts(device: DeviceSpec) -> list[tuple[str, str]]:
    power = device.power
    return [
        ("TDP", format_quantity(power.tdp_w, "W")),
        ("idle", format_quantity(power.idle_w, "W")),
        ("active floor", format_quantity(power.active_w, "W")),
        ("energy an operation", _energies(power.energy_per_op_j)),
    ]


def _stacks_table(device: DeviceSpec) -> Table:
    rows: list[tuple[str, ...]] = [
        (
            name,
            stack.basis,
            format_quantity(stack.launch_s, "s"),
            format_quantity(stack.dispatch_s, "s"),
            _other_times(stack),
            ", ".join(stack.passes) or "none",
            _errors(stack.validated) or "not measured",
        )
        for name, stack in device.software.items()
    ]
    heads: tuple[str, ...] = ("name", "basis", "launch", "dispatch", "besides", "passes", "held-out error")
    if not any(row[4] for row in rows):
        heads, rows = (*heads[:4], *heads[5:]), [(*row[:4], *row[5:]) for row in rows]
    return plain_table("Software stacks", heads, rows, heads[2:4], optional=("passes", "dispatch"))


def _other_times(stack: SoftwareSpec) -> str:
    """What a stack takes beside launches and dispatch, and what for."""
    times = {
        "a run": stack.request_s,
        "an item": stack.item_s,
        "a kernel compiled": stack.compile_s,
        "a sequence": stack.sequence_s,
    }
    return ", ".join(f"{format_quantity(seconds, 's')} {name}" for name, seconds in times.items() if seconds)


def _errors(validated: Mapping[str, float]) -> str:
    return ", ".join(f"{', '.join(names)} {error:g} %" for error, names in families_by_error(validated).items())


def families_by_error(validated: Mapping[str, float]) -> dict[float, list[str]]:
    """Kernel families that share an error, as where whole networks were held out, by that error."""
    families: dict[float, list[str]] = {}
    for family, error in validated.items():
        families.setdefault(error, []).append(family)
    return families


def _energies(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {format_quantity(value, 'J', 3)}" for name, value in values.items()) or "none"


def system_page(system: SystemSpec) -> list[Table]:
    """A system whole."""
    head = [(role, f"{d.name} ({d.title})") for role, d in system.devices.items()]
    if system.memory is not None:
        m = system.memory
        shared = f"{format_quantity(m.capacity_bytes, 'B')}, {format_quantity(m.bandwidth_bytes_per_s, 'B/s')}"
        head.append((f"shared memory {m.name}", f"{shared}; {_origin(m)}"))
    links = [
        (
            " - ".join(link.between),
            format_quantity(link.bandwidth_bytes_per_s, "B/s"),
            format_quantity(link.latency_s, "s"),
            "yes" if link.coherent else "no",
            _origin(link),
        )
        for link in system.links
    ]
    pages = [key_values(f"{system.name}: {system.title}", head)]
    if links:
        pages.append(plain_table("Links", ("between", "bandwidth", "latency", "coherent", "from"), links))
    if system.interconnect is not None:
        ring = system.interconnect
        pairs = [
            ("bandwidth", format_quantity(ring.bandwidth_bytes_per_s, "B/s")),
            ("start-up", f"{format_quantity(ring.base_s, 's')} + {format_quantity(ring.step_s, 's')} a step"),
            ("efficiency", f"{ring.efficiency:.3g}, overlap exponent {ring.overlap:g}"),
            *_held_out(ring.validated),
            ("from", _origin(ring)),
        ]
        pages.append(key_values("Interconnect (collectives)", pairs))
    return pages


def _held_out(validated: Mapping[str, float]) -> list[tuple[str, str]]:
    """The line that says how far measured collectives were off, if any were kept back."""
    errors = ", ".join(f"{pattern} {error:g} %" for pattern, error in validated.items())
    return [("mean error on held-out runs", errors)] if errors else []


_COMMON = ("dtype", "passes")
"""Parameters of every workload."""


def workloads_table(workloads: Sequence[Workload]) -> Table:
    """One row a workload, without the parameters that all of them take."""

    def own(entry: Workload) -> str:
        return " ".join(f"{p.name}={p.default}" for p in entry.parameters.values() if p.name not in _COMMON)

    rows = [(w.name, w.title, w.item, own(w)) for w in workloads]
    heads = ("name", "title", "makes", f"parameters (also {', '.join(_COMMON)})")
    return plain_table("Workloads", heads, rows, optional=("makes",))


def families_table(families: Sequence[Family]) -> Table:
    """One row a family, whose networks are named but not listed."""
    rows = [(family.name, family.title, ", ".join(family.examples)) for family in families]
    return plain_table("Families, any size by its timm name", ("family", "networks", "for example"), rows)


def workload_page(entry: Workload) -> list[Table]:
    """A workload whole: parameters, phases, operators by kind, MACs and weights."""
    graph = entry.build()
    params = [
        (p.name, p.type.__name__, str(p.default), ", ".join(p.choices) or _range(p), p.doc)
        for p in entry.parameters.values()
    ]
    phases = [(p.name, f"{p.repeat:,}", f"{p.last - p.first:,}") for p in graph.phases]
    kinds: dict[str, int] = {}
    for node in graph.nodes:
        kinds[node.op.kind] = kinds.get(node.op.kind, 0) + 1
    head = [
        ("source", entry.source),
        ("parameters", f"{graph.parameters:,}"),
        ("MACs (defaults)", f"{graph.macs:,} = {format_quantity(graph.macs, 'MAC')}"),
        ("makes", counted(graph.items, graph.item)),
        ("operators", ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda k: -k[1]))),
    ]
    if entry.published is not None:
        head.append(("published", entry.published.source))
    return [
        key_values(f"{entry.name}: {entry.title}", head),
        plain_table("Parameters", ("name", "type", "default", "range", "meaning"), params),
        plain_table("Phases", ("name", "repeats", "operators"), phases, ("repeats", "operators")),
    ]


def _range(parameter: Any) -> str:
    low, high = parameter.minimum, parameter.maximum
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""


def policies_table(policies: Sequence[Policy]) -> Table:
    """One row a policy."""
    return plain_table(
        "Placement policies", ("name", "does", "source"), [(p.name, p.title, p.source) for p in policies]
    )


def operators_table(operators: Sequence[type[Operator]]) -> Table:
    """One row an operator."""
    rows = [(op.kind, _first_line(op), ", ".join(_attributes(op))) for op in sorted(operators, key=lambda o: o.kind)]
    return plain_table("Operators", ("kind", "does", "attributes"), rows)


def operator_page(op: type[Operator]) -> list[Table]:
    """An operator whole."""
    pairs = [
        ("does", inspect.cleandoc(op.__doc__ or "")),
        ("attributes", ", ".join(_attributes(op)) or "none"),
        ("shape rule", inspect.cleandoc(op.infer.__doc__ or "")),
        ("work", inspect.cleandoc(op.lower.__doc__ or "")),
    ]
    return [key_values(op.kind, pairs)]


def _first_line(op: type[Operator]) -> str:
    return inspect.cleandoc(op.__doc__ or "").split("\n")[0]


def _attributes(op: Any) -> list[str]:
    shown = []
    for item in dataclasses.fields(op):
        default = "" if item.default is dataclasses.MISSING else f"={item.default!r}"
        shown.append(f"{item.name}{default}")
    return shown
