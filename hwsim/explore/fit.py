"""Does it fit: weights, states and activations against a capacity, and the largest batch and context that do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwsim.flow import prepare
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.lowering import lower
from hwsim.graph.topology import ROLES, Topology, topology
from hwsim.specs.device import DeviceSpec
from hwsim.workloads.registry import WORKLOADS, Workload

__all__ = ["Fit", "Footprint", "fit", "footprint"]

_LENGTHS = ("context", "prompt", "seq", "tokens")
"""Parameters that a KV cache may grow with, in the order they are tried; which does depends on the phase."""

_LIMIT = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes one run needs, its operators run one after another.

    ``states_bytes`` are KV caches and the like at their largest, ``activations_bytes`` the most that is alive
    at once of everything else.
    """

    weights_bytes: int
    states_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.states_bytes + self.activations_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A footprint against a device's memory; the largest values are 0 where not even 1 fits, None if not asked."""

    workload: str
    device: str
    dtype: str
    capacity_bytes: float
    footprint: Footprint
    largest_batch: int | None
    largest_length: int | None
    length_name: str

    @property
    def fits(self) -> bool:
        """Whether the footprint is within the capacity."""
        return self.footprint.total_bytes <= self.capacity_bytes


def footprint(graph: Graph) -> Footprint:
    """What a graph with resolved formats needs in memory."""
    topo = topology(lower(graph))
    owner = topo.root == np.arange(len(topo.root))
    weight = owner & (topo.role == ROLES.index("weight"))
    state = owner & (topo.role == ROLES.index("state"))
    peaks = [_phase_peak(topo, phase) for phase in graph.phases]
    grown = [int((topo.size_bytes + (phase.repeat - 1) * topo.step_bytes)[state].sum()) for phase in graph.phases]
    return Footprint(
        weights_bytes=int(topo.size_bytes[weight].sum()),
        states_bytes=max(grown, default=0),
        activations_bytes=max(peaks, default=0),
    )


def _phase_peak(topo: Topology, phase: Phase) -> int:
    """Most bytes of inputs and activations alive at once, at the last repeat of a phase."""
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    count = phase.last - phase.first
    size = topo.size_bytes + (phase.repeat - 1) * topo.step_bytes
    first = np.full(len(topo.root), -1, dtype=np.int64)
    last = np.full(len(topo.root), -1, dtype=np.int64)
    roots = topo.root[topo.edge_tensor[low:high]]
    np.maximum.at(last, roots, topo.edge_node[low:high] - phase.first)
    inside = (topo.producer >= phase.first) & (topo.producer < phase.last)
    owner = topo.root == np.arange(len(topo.root))
    temporary = owner & np.isin(topo.role, (ROLES.index("activation"), ROLES.index("input")))
    alive = temporary & (inside | (last >= 0))
    first[alive] = np.where(inside, topo.producer - phase.first, 0)[alive]
    later = np.zeros(len(topo.root), dtype=np.bool_)
    later[topo.root[topo.edge_tensor[topo.edge_node >= phase.last]]] = True
    later[topo.root[topo.is_output]] = True
    end = np.where(later, count - 1, np.maximum(last, first))
    change = np.zeros(count + 1, dtype=np.int64)
    np.add.at(change, first[alive], size[alive])
    np.subtract.at(change, end[alive] + 1, size[alive])
    return int(np.cumsum(change).max(initial=0))


def fit(name: str, device: DeviceSpec, params: Mapping[str, object], software: str | None = None) -> Fit:
    """Whether a workload fits a device, and how far its batch and its context may grow.

    Raises:
        InputError, UnknownNameError: no such workload or parameter.
    """
    entry = WORKLOADS[name]
    stack = device.stack(software)
    capacity = device.main_memory.capacity_bytes

    def needs(**changes: object) -> Footprint:
        graph, _ = prepare(entry.build(**{**params, **changes}), [device], [stack])
        return footprint(graph)

    ready, dtype = prepare(entry.build(**params), [device], [stack])
    now = footprint(ready).total_bytes
    grows = (
        n for n in _LENGTHS if n in entry.parameters and needs(**{n: 2 * _value(entry, params, n)}).total_bytes > now
    )
    length = next(grows, "")
    batch = _largest(lambda n: needs(batch=n).total_bytes <= capacity) if "batch" in entry.parameters else None
    longest = None
    if length:
        top = entry.parameters[length].maximum
        longest = _largest(lambda n: needs(**{length: n}).total_bytes <= capacity, int(top) if top else _LIMIT)
    return Fit(
        workload=name,
        device=device.name,
        dtype=dtype,
        capacity_bytes=capacity,
        footprint=footprint(ready),
        largest_batch=batch,
        largest_length=longest,
        length_name=length,
    )


def _value(entry: Workload, params: Mapping[str, object], name: str) -> int:
    return int(str(params.get(name, entry.parameters[name].default)))


def _largest(fits: Callable[[int], bool], top: int = _LIMIT) -> int:
    """Largest whole number up to ``top`` for which a monotone condition holds; 0 if none."""
    if not fits(1):
        return 0
    low = 1
    while low * 2 <= top and fits(low * 2):
        low *= 2
    high = min(low * 2, top + 1)
    while high - low > max(1, low // 256):
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
