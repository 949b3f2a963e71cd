"""The placement problem of a phase, posed from its costs and the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.pricing import GraphCosts
from hwsim.engine.machine import Machine
from hwsim.graph.graph import Phase
from hwsim.graph.topology import Topology
from hwsim.placement.problem import Problem
from hwsim.specs.system import SystemSpec

__all__ = ["pose"]


def pose(
    phase: Phase,
    topo: Topology,
    costs: Sequence[GraphCosts],
    machine: Machine,
    system: SystemSpec,
    options: Mapping[str, object],
) -> Problem:
    """What a policy decides on: the phase at its first repeat, views free on every device."""
    nodes = costs[0].lowered.graph.nodes[phase.first : phase.last]
    view = topo.view[phase.first : phase.last]
    priced = [c.nodes(phase, 0) for c in costs]
    supported = [c.node_supported[phase.first : phase.last] for c in costs]
    pairs = zip(priced, supported, strict=True)
    time = np.array([np.where(view, 0.0, np.where(ok, n.time_s, np.inf)) for n, ok in pairs])
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    tensor, target = topo.edge_tensor[low:high], topo.edge_node[low:high] - phase.first
    source = topo.producer[tensor] - phase.first
    inside = (source >= 0) & (source < len(nodes))
    latency, pace = _links(machine)
    return Problem(
        devices=tuple(system.devices),
        kinds=tuple(spec.kind for spec in system.devices.values()),
        time_s=time,
        energy_j=np.array([n.energy_j for n in priced]),
        operators=[node.op.kind for node in nodes],
        names=[node.name for node in nodes],
        tags=[node.tags for node in nodes],
        edges=np.stack([source[inside], target[inside]], axis=1),
        edge_bytes=topo.size_bytes[tensor[inside]].astype(np.float64),
        latency_s=latency,
        seconds_per_byte=pace,
        options=options,
    )


def _links(machine: Machine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latency and seconds a byte between devices; nothing where no link is declared."""
    count = len(machine.devices)
    latency, pace = np.zeros((count, count)), np.zeros((count, count))
    for a, b in zip(*np.nonzero(machine.link_of >= 0), strict=True):
        link = machine.links[int(machine.link_of[a, b])]
        latency[a, b] = link.latency_ps * 1e-12
        pace[a, b] = 1.0 / link.bandwidth_bytes_per_s if machine.copies[a, b] else 0.0
    return latency, pace
