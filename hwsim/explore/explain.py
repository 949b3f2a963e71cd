"""Why an operator costs what it costs: the formula's terms, the parameters, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.devices.base import BOUNDS, KINDS, DeviceKind
from hwsim.devices.pricing import NodeCosts, graph_params, price_graph
from hwsim.errors import InputError
from hwsim.flow import chosen_stack, prepare
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.work import Collective, Work
from hwsim.registry import unknown_name
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Count, Formats, Marker, Quantity, Ratio, spec_fields
from hwsim.specs.software import SoftwareSpec
from hwsim.units import base_unit, format_quantity

__all__ = ["Explanation", "explain"]

Terms = Sequence[tuple[str, str]]

_CONSTANT = "constant "
"""How a kind marks the constants among its terms; they are listed with their source instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An operator's price taken apart; values are texts with units.

    ``parameters`` are (path in the device's YAML, value, section of ``sources`` it stands in).
    """

    op: str
    kind: str
    device: str
    software: str
    about: Terms
    parts: Sequence[tuple[str, Terms]]
    parameters: Sequence[tuple[str, str, str]]
    sources: Terms


def _find(graph: Graph, name: str) -> list[int]:
    """The nodes of that name: whole, as part of a fused name, as its end, or within it, in this order."""
    names = [node.name for node in graph.nodes]
    if not name.strip():
        raise InputError(f"write the name of an operator of {graph.name}, e.g. '{names[0]}'")
    tests: tuple[Callable[[str], bool], ...] = (
        lambda full: full == name,
        lambda full: name in full.split("+"),
        lambda full: any(part.endswith(f".{name}") for part in full.split("+")),
        lambda full: name in full,
    )
    for test in tests:
        hits = [i for i, full in enumerate(names) if test(full)]
        if hits:
            return hits
    raise unknown_name(f"operator of {graph.name}", name, names)


def explain(graph: Graph, device: DeviceSpec, op: str, software: str | None = None) -> Explanation:
    """The terms behind one operator's time and energy.

    Raises:
        UnknownNameError: the graph has no operator of that name.
        UnsupportedError: the device cannot run it.
    """
    stack = chosen_stack(graph, device, software)
    ready, dtype = prepare(graph, [device], [stack])
    hits = _find(ready, op)
    index = hits[0]
    node = ready.nodes[index]
    lowered = lower(ready)
    costs = price_graph(lowered, device, stack)
    kind: DeviceKind[Any] = KINDS[device.kind]
    params = graph_params(kind, kind.params(device, stack), lowered)
    phase = next(p for p in ready.phases if p.first <= index < p.last)
    nodes = costs.nodes(phase)
    place = index - phase.first
    rows = lowered.row_ids[lowered.row_start[index] : lowered.row_start[index + 1]].tolist()
    parts: list[tuple[str, Terms]] = []
    constants: list[tuple[str, str, str]] = []
    formats = list(dict.fromkeys(lowered.works[row].format for row in rows))
    for row in rows:
        work = lowered.works[row]
        if not isinstance(work, Collective):
            terms = kind.explain(work, params)
            shown = [(name, _text(value, unit)) for name, value, unit in terms if not name.startswith(_CONSTANT)]
            parts.append((f"{work.form} '{work.kernel}' in {work.format}", [*shown, _residual(work, params)]))
            constants += _constants(kind, work, stack, params)
    parts.append(("Energy", _energy(nodes, place)))
    about = [
        ("inputs", _types(ready, node.inputs)),
        ("outputs", _types(ready, node.outputs)),
        ("precision", dtype),
        ("time", format_quantity(float(nodes.time_s[place]), "s") + f", {BOUNDS[int(nodes.bound[place])]}-bound"),
        ("energy", format_quantity(float(nodes.energy_j[place]), "J") + ", idle power not included"),
        ("utilization", f"{float(nodes.utilization[place]):.1%} of peak"),
    ]
    if len(hits) > 1:
        about.append(("also meant", f"{len(hits) - 1} others, e.g. {ready.nodes[hits[-1]].name}"))
    return Explanation(
        op=node.name,
        kind=node.op.kind,
        device=device.name,
        software=stack.name,
        about=about,
        parts=parts,
        parameters=[*_hardware(device, formats), *sorted(dict.fromkeys(constants), key=_fitted_first)],
        sources=_sources(device, stack.name),
    )


def _residual(work: Work, params: Any) -> tuple[str, str]:
    """Whether the time is the formula's alone, or what a residual of the stack multiplied it by."""
    (table,) = tables_of([work]).values()
    factor = params.kernels.correction(table)
    if factor is None or factor[0, 0] == 1.0:
        return "residual", "none: physics alone"
    return "residual, a factor on the formula's time (contained above)", f"{float(factor[0, 0]):.3f}"


def _text(value: float, unit: str) -> str:
    """A value with its unit; numbers without one plain."""
    if unit not in ("", "1"):
        return format_quantity(value, unit)
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e12 else f"{value:.4g}"


def _constants(kind: DeviceKind[Any], work: Work, stack: SoftwareSpec, params: Any) -> list[tuple[str, str, str]]:
    """The stack's constants behind a row: the family that gives each, or the kind's default."""
    (table,) = tables_of([work]).values()
    families = (f"{work.kernel}.{work.format}", work.kernel, f"{work.form}.{work.format}", str(work.form))
    found = []
    for name in sorted({"launch", "dispatch", *kind.defaults[work.form]}):
        family = next((f for f in families if name in stack.kernels.get(f, {})), "")
        value = float(params.kernels.column(table, name)[0, 0])
        marker = kind.constants.get(name)
        unit = base_unit(marker.dimension) if isinstance(marker, Quantity) else ""
        whole = not family and name in ("launch", "dispatch")
        home = f"software.{stack.name}" if family or whole else f"default of {kind.name}"
        path = f"{home}.{family}.{name}" if family else f"{home}.{name}" if whole else f"{work.form}.{name}"
        found.append((path, _text(value, unit or ("s" if whole else "")), home))
    return found


def _fitted_first(constant: tuple[str, str, str]) -> tuple[bool, str]:
    path, _, home = constant
    return home.startswith("default"), path


def _hardware(device: DeviceSpec, formats: Sequence[str]) -> list[tuple[str, str, str]]:
    """The chip's own numbers: units and clocks, memories, energies of the format."""
    found = [(f"{device.kind}.{path}", text, device.kind) for path, text in _numbers(device.core, formats)]
    for level in device.memory:
        home = f"memory.{level.name}"
        found += [(f"{home}.{path}", text, home) for path, text in _numbers(level, formats)]
    return [*found, *((f"power.{path}", text, "power") for path, text in _numbers(device.power, formats))]


def _numbers(spec: Any, formats: Sequence[str]) -> list[tuple[str, str]]:
    """(YAML key, value with unit) of every number of a section that is not zero; of mappings, that of the formats."""
    found = []
    for key, item in spec_fields(type(spec)).items():
        value = getattr(spec, item.name)
        marker: Marker = item.marker
        values: list[tuple[str, Any, Marker]] = [(key, value, marker)]
        if isinstance(marker, Formats):
            values = [(f"{key}.{name}", value[name], marker.of) for name in formats if name in value]
        for path, one, of in values:
            if isinstance(of, Quantity | Count | Ratio) and one:
                found.append((path, _text(one, base_unit(of.dimension) if isinstance(of, Quantity) else "")))
    return found


def _types(graph: Graph, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {list(t.shape)} {t.format}" for name, t in zip(names, graph.types(names), strict=True))


def _energy(nodes: NodeCosts, place: int) -> list[tuple[str, str]]:
    """The terms of the energy: operations, bytes of each level, the active floor."""
    dram, cache = (format_quantity(float(column[place]), "B", 3) for column in (nodes.dram_bytes, nodes.cache_bytes))
    terms = (
        ("compute: operations x energy an operation", nodes.compute_j),
        (f"memory: {dram} through DRAM and {cache} on chip, each x its energy", nodes.memory_j),
        ("active: active floor x time on the device", nodes.active_j),
    )
    return [(text, format_quantity(float(column[place]), "J", 4)) for text, column in terms]


def _sources(device: DeviceSpec, software: str) -> Terms:
    """Where the numbers come from: every section's source or assumption."""
    stack = device.stack(software)
    found = [(device.kind, device.core.source or f"assumption: {device.core.assumption}")]
    found += [(f"memory.{m.name}", m.source or f"assumption: {m.assumption}") for m in device.memory]
    found.append(("power", device.power.source or f"assumption: {device.power.assumption}"))
    fitted = (
        f"{stack.basis}; fitted to {stack.fitted_to}"
        if stack.fitted_to
        else f"{stack.basis}; assumption: {stack.assumption}"
    )
    return [*found, (f"software.{stack.name}", fitted)]
