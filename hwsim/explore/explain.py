"""Why an operator costs what it costs: the formula's terms, the parameters, and where they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.devices.base import BOUNDS, KINDS, DeviceKind
from hwsim.devices.pricing import price_graph
from hwsim.flow import prepare
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower
from hwsim.graph.work import Collective
from hwsim.registry import unknown_name
from hwsim.specs.device import DeviceSpec
from hwsim.units import format_quantity

__all__ = ["Explanation", "explain"]

Terms = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An operator's price taken apart; values are texts with units."""

    op: str
    kind: str
    device: str
    software: str
    about: Terms
    parts: Sequence[tuple[str, Terms]]
    sources: Terms


def _find(graph: Graph, name: str) -> int:
    """The node of that name, or the only one whose name ends so or contains it."""
    names = [node.name for node in graph.nodes]
    if name in names:
        return names.index(name)
    for test in (str.endswith, str.__contains__):
        hits = [i for i, full in enumerate(names) if test(full, name)]
        if hits:
            return hits[0]
    raise unknown_name(f"operator of {graph.name}", name, names)


def explain(graph: Graph, device: DeviceSpec, op: str, software: str | None = None) -> Explanation:
    """The terms behind one operator's time and energy.

    Raises:
        UnknownNameError: the graph has no operator of that name.
        UnsupportedError: the device cannot run it.
    """
    stack = device.stack(software)
    ready, dtype = prepare(graph, [device], [stack])
    index = _find(ready, op)
    node = ready.nodes[index]
    lowered = lower(ready)
    costs = price_graph(lowered, device, stack)
    kind: DeviceKind[Any] = KINDS[device.kind]
    params = kind.params(device, stack)
    phase = next(p for p in ready.phases if p.first <= index < p.last)
    nodes = costs.nodes(phase)
    place = index - phase.first
    rows = lowered.row_ids[lowered.row_start[index] : lowered.row_start[index + 1]].tolist()
    parts = []
    for row in rows:
        work = lowered.works[row]
        if not isinstance(work, Collective):
            terms = [
                (name, format_quantity(value, unit) if unit else f"{value:.6g}")
                for name, value, unit in kind.explain(work, params)
            ]
            parts.append((f"{work.form} '{work.kernel}' in {work.format}", terms))
    about = [
        ("inputs", _types(ready, node.inputs)),
        ("outputs", _types(ready, node.outputs)),
        ("precision", dtype),
        ("time", format_quantity(float(nodes.time_s[place]), "s") + f", {BOUNDS[int(nodes.bound[place])]}-bound"),
        ("energy", _energy(nodes, place)),
        ("utilization", f"{float(nodes.utilization[place]):.1%} of peak"),
    ]
    return Explanation(
        op=node.name,
        kind=node.op.kind,
        device=device.name,
        software=stack.name,
        about=about,
        parts=parts,
        sources=_sources(device, stack.name),
    )


def _types(graph: Graph, names: Sequence[str]) -> str:
    return ", ".join(f"{name} {list(t.shape)} {t.format}" for name, t in zip(names, graph.types(names), strict=True))


def _energy(nodes: Any, place: int) -> str:
    parts = ("compute", "memory", "active")
    figures = [(part, float(getattr(nodes, f"{part}_j")[place])) for part in parts]
    return " + ".join(f"{part} {format_quantity(value, 'J', 3)}" for part, value in figures)


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
