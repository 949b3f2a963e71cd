"""A system as the engine sees it: devices, memories, links, and what crosses between whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.plan import DevicePlan, LinkPlan, MemoryPlan
from hwsim.errors import InputError
from hwsim.specs.system import SystemSpec

__all__ = ["ALONE", "Machine", "machine_of", "picoseconds"]

IntArray = NDArray[np.int64]


def picoseconds(seconds: NDArray[np.float64]) -> IntArray:
    """Whole picoseconds, rounded up (a hair of float error excepted)."""
    return np.ceil(seconds * 1e12 - 1e-3).clip(min=0).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Machine:
    """A system as the engine sees it.

    ``link_of[a, b]`` is the link from device a to b, -1 where they share memory; ``memory_of`` each device's memory.
    """

    devices: tuple[DevicePlan, ...]
    memories: tuple[MemoryPlan, ...]
    links: tuple[LinkPlan, ...]
    link_of: IntArray
    memory_of: IntArray
    copies: NDArray[np.bool_]


ALONE = Machine(
    devices=(DevicePlan(name="device"),),
    memories=(MemoryPlan(name="memory"),),
    links=(),
    link_of=np.full((1, 1), -1, dtype=np.int64),
    memory_of=np.zeros(1, dtype=np.int64),
    copies=np.zeros((1, 1), dtype=np.bool_),
)
"""One device with a memory without end."""


def machine_of(system: SystemSpec, *, limited: bool = True, allow_spill: bool = False) -> Machine:
    """Devices, memories and links of a system; without ``limited`` capacities are tracked but not enforced."""
    roles = list(system.devices)
    shared = system.memory
    memories: list[MemoryPlan] = []
    memory_of = np.zeros(len(roles), dtype=np.int64)
    if shared is not None:
        memories.append(
            _memory(shared.name, shared.capacity_bytes, shared.bandwidth_bytes_per_s, limited, len(roles) > 1)
        )
    devices: list[DevicePlan] = []
    for index, role in enumerate(roles):
        spec = system.devices[role]
        main = spec.main_memory
        bandwidth = main.bandwidth_bytes_per_s or float("inf")
        if shared is None:
            memory_of[index] = len(memories)
            name = main.name if len(roles) == 1 else f"{role}.{main.name}"
            memories.append(_memory(name, main.capacity_bytes, bandwidth, limited, spec.queues > 1))
        contends = memories[memory_of[index]].shared
        memory = int(memory_of[index]) if contends else -1
        devices.append(DevicePlan(name=role, queues=spec.queues, memory=memory, port_bytes_per_s=bandwidth))
    links, link_of, copies = _links(system, roles)
    if allow_spill:
        memories, links = _with_spill(memories, links, memory_of)
    return Machine(
        devices=tuple(devices),
        memories=tuple(memories),
        links=tuple(links),
        link_of=link_of,
        memory_of=memory_of,
        copies=copies,
    )


HOST_BYTES_PER_S = 25e9
"""assumption: what a spill reaches over a PCIe 4.0 x16 link to host memory."""


def _with_spill(
    memories: Sequence[MemoryPlan], links: Sequence[LinkPlan], memory_of: IntArray
) -> tuple[list[MemoryPlan], list[LinkPlan]]:
    first = len(links)
    extra = [
        LinkPlan(
            name=f"{memory.name}-host",
            source=int(np.flatnonzero(memory_of == i)[0]),
            latency_ps=5_000_000,
            bandwidth_bytes_per_s=HOST_BYTES_PER_S,
        )
        for i, memory in enumerate(memories)
    ]
    spilling = [
        MemoryPlan(
            name=m.name,
            capacity_bytes=m.capacity_bytes,
            bandwidth_bytes_per_s=m.bandwidth_bytes_per_s,
            shared=m.shared,
            allow_spill=True,
            spill_to=first + i,
        )
        for i, m in enumerate(memories)
    ]
    return spilling, [*links, *extra]


def _memory(name: str, capacity: float, bandwidth: float, limited: bool, shared: bool) -> MemoryPlan:
    return MemoryPlan(
        name=name,
        capacity_bytes=capacity if limited and capacity > 0 else float("inf"),
        bandwidth_bytes_per_s=bandwidth,
        shared=shared,
    )


def _links(system: SystemSpec, roles: Sequence[str]) -> tuple[list[LinkPlan], IntArray, NDArray[np.bool_]]:
    place = {role: i for i, role in enumerate(roles)}
    link_of = np.full((len(roles), len(roles)), -1, dtype=np.int64)
    copies = np.full((len(roles), len(roles)), system.memory is None, dtype=np.bool_)
    np.fill_diagonal(copies, val=False)
    links: list[LinkPlan] = []
    for link in system.links:
        ends = [place[role] for role in link.between]
        for source, target in (ends, ends[::-1]):
            link_of[source, target] = len(links)
            copies[source, target] = system.memory is None and not link.coherent
            links.append(
                LinkPlan(
                    name=f"{roles[source]}->{roles[target]}",
                    source=source,
                    target=target,
                    latency_ps=int(picoseconds(np.array([link.latency_s]))[0]),
                    bandwidth_bytes_per_s=link.bandwidth_bytes_per_s,
                )
            )
    if system.memory is None:
        _check_linked(system.name, roles, link_of)
    return links, link_of, copies


def _check_linked(name: str, roles: Sequence[str], link_of: IntArray) -> None:
    """Raise InputError where two devices with memories of their own have no link."""
    for a, b in zip(*np.nonzero(link_of < 0), strict=True):
        if a < b:
            pair = f"[{roles[a]}, {roles[b]}]"
            raise InputError(f"system {name}: links: nothing joins {pair}; add 'between: {pair}' with its bandwidth")
