"""Does it fit: weights, states and activations against a capacity, and the largest batch and context that do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layout import Layout, layout_of
from hwsim.engine.machine import ALONE
from hwsim.errors import InputError
from hwsim.flow import prepare
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.lowering import lower
from hwsim.graph.topology import ROLES, topology
from hwsim.placement.problem import Placement
from hwsim.specs.device import DeviceSpec
from hwsim.workloads import find_workload
from hwsim.workloads.registry import Workload

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
    """What a graph with resolved formats needs in memory: its parts in the phase that needs most."""
    topo = topology(lower(graph))
    layout = layout_of(topo, ALONE, graph.phases, [_on_it(phase) for phase in graph.phases])
    needs = [_phase_footprint(layout, phase) for phase in graph.phases]
    return max(needs, key=lambda need: need.total_bytes)


def _on_it(phase: Phase) -> Placement:
    """Everything on the only device, in the order of the graph."""
    tasks = phase.last - phase.first
    return Placement(policy="single", device=np.zeros(tasks, dtype=np.int64), priority=np.arange(tasks))


def _phase_footprint(layout: Layout, phase: Phase) -> Footprint:
    """Weights and states, and the most bytes of all else at once, in the last repeat of a phase."""
    topo = layout.topo
    size = topo.size_bytes + (phase.repeat - 1) * topo.step_bytes
    there, _ = layout.residents(phase, np.zeros((0, 2), dtype=np.int64))
    role = topo.role[there]
    held = {name: int(size[there[role == code]].sum()) for code, name in enumerate(ROLES)}
    return Footprint(
        weights_bytes=held["weight"],
        states_bytes=held["state"],
        activations_bytes=held["activation"] + held["input"] + _most_made(layout, phase, size),
    )


def _most_made(layout: Layout, phase: Phase, size: NDArray[np.int64]) -> int:
    """Most bytes at once of what a phase makes, each from its maker to its last reader, or to the end if it stays."""
    made = layout.made_in(phase)
    count = phase.last - phase.first
    first = layout.topo.producer[made] - phase.first
    stays = layout.needed_after(phase)[made]
    last = np.where(stays, count - 1, np.maximum(layout.last_use.max(axis=0)[made] - phase.first, first))
    change = np.zeros(count + 1, dtype=np.int64)
    np.add.at(change, first, size[made])
    np.subtract.at(change, last + 1, size[made])
    return int(np.cumsum(change).max(initial=0))


def fit(name: str, device: DeviceSpec, params: Mapping[str, object], software: str | None = None) -> Fit:
    """Whether a workload fits a device, and how far its batch and its context may grow.

    Raises:
        InputError, UnknownNameError: no such workload or parameter.
    """
    entry = find_workload(name)
    stack = device.stack(software)
    capacity = device.main_memory.capacity_bytes

    def needs(**changes: object) -> Footprint:
        graph, _ = prepare(entry.build(**{**params, **changes}), [device], [stack])
        return footprint(graph)

    def holds(**changes: object) -> bool:
        try:
            return needs(**changes).total_bytes <= capacity
        except InputError:  # a limit of the network itself, e.g. its number of positions
            return False

    ready, dtype = prepare(entry.build(**params), [device], [stack])
    now = footprint(ready)
    lengths = {n: _value(entry, params, n) for n in _LENGTHS if n in entry.parameters}
    shrinks = (
        n for n, value in lengths.items() if value > 1 and needs(**{n: value // 2}).total_bytes < now.total_bytes
    )
    length = next(shrinks, "")
    batch = _largest(lambda n: holds(batch=n)) if "batch" in entry.parameters else None
    longest = None
    if length:
        top = entry.parameters[length].maximum
        longest = _largest(lambda n: holds(**{length: n}), int(top) if top else _LIMIT)
    return Fit(
        workload=entry.name,
        device=device.name,
        dtype=dtype,
        capacity_bytes=capacity,
        footprint=now,
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
