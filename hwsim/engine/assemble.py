"""Graph phase + placement + costs -> the plan the engine replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.pricing import NodeCosts
from hwsim.engine.plan import BufferTable, Csr, DevicePlan, LinkPlan, MemoryPlan, Plan, TransferTable
from hwsim.errors import InputError
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.topology import ROLES, Topology
from hwsim.placement.problem import Placement
from hwsim.specs.system import SystemSpec

__all__ = ["Machine", "assemble", "machine_of", "picoseconds"]

IntArray = NDArray[np.int64]
_STATE = ROLES.index("state")


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


def assemble(
    graph: Graph,
    topo: Topology,
    phase: Phase,
    repeat: int,
    placement: Placement,
    costs: Sequence[NodeCosts],
    machine: Machine,
    home: IntArray,
) -> Plan:
    """The plan of one repeat of a phase.

    Args:
        graph: what runs.
        topo: its arrays.
        phase: which part of it.
        repeat: index of the repeat, for tensors that grow.
        placement: device of each node of the phase.
        costs: node costs on each device, in the machine's order.
        machine: the system.
        home: device index where each tensor of earlier phases lies, -1 if nowhere yet, (tensors,).
    """
    count = phase.last - phase.first
    view = topo.view[phase.first : phase.last]
    device = np.where(view, -1, placement.device)
    column = {
        name: _chosen(costs, placement.device, name) for name in ("time_s", "overhead_s", "dispatch_s", "dram_bytes")
    }
    dispatch = np.where(view, 0.0, column["dispatch_s"])
    duration = picoseconds(np.where(view, 0.0, column["time_s"] - dispatch))
    overhead = np.minimum(picoseconds(np.where(view, 0.0, column["overhead_s"] - dispatch)), duration)
    where = _effective_device(topo, phase, placement.device, home)
    successors, transfers, copies = _edges(topo, phase, where, machine, home)
    collective = [i for i in range(count) if graph.nodes[phase.first + i].op.kind in _COLLECTIVES]
    return Plan(
        names=[node.name for node in graph.nodes[phase.first : phase.last]],
        device=device,
        duration_ps=duration,
        overhead_ps=overhead,
        dram_bytes=np.where(view, 0.0, column["dram_bytes"]),
        priority=placement.priority,
        release_ps=_released(dispatch, placement.priority),
        successors=successors,
        devices=machine.devices,
        memories=machine.memories,
        links=machine.links,
        transfers=transfers,
        buffers=_buffers(topo, phase, repeat, where, machine, copies),
        participants=_participants(collective, count, len(machine.devices)),
    )


_COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")


def _participants(collective: Sequence[int], tasks: int, devices: int) -> Csr | None:
    """A collective holds every device of the system."""
    if not collective or devices < 2:
        return None
    chosen = set(collective)
    return Csr.from_rows(range(devices) if i in chosen else () for i in range(tasks))


def _chosen(costs: Sequence[NodeCosts], device: IntArray, name: str) -> NDArray[np.float64]:
    """One column, each node on the device it was placed on."""
    if len(costs) == 1:
        column: NDArray[np.float64] = getattr(costs[0], name)
        return column
    return np.choose(device, [getattr(c, name) for c in costs])


def _released(dispatch_s: NDArray[np.float64], priority: IntArray) -> IntArray | None:
    """When the host, running ahead, has issued each node; None if issuing costs nothing."""
    if not dispatch_s.any():
        return None
    order = np.argsort(priority, kind="stable")
    release = np.empty_like(dispatch_s)
    release[order] = np.cumsum(dispatch_s[order])
    return picoseconds(release)


def _effective_device(topo: Topology, phase: Phase, device: IntArray, home: IntArray) -> IntArray:
    """Where each node's outputs lie; a view's lie where its storage does."""
    where = device.copy()
    view = topo.view[phase.first : phase.last]
    if not view.any():
        return where
    made = {int(topo.producer[t]): t for t in range(len(topo.producer)) if topo.producer[t] >= 0}
    for index in np.flatnonzero(view).tolist():
        root = int(topo.root[made[index + phase.first]])
        maker = int(topo.producer[root]) - phase.first
        if 0 <= maker < len(where):
            where[index] = where[maker]
        elif home[root] >= 0:
            where[index] = home[root]
    return where


def _edges(
    topo: Topology, phase: Phase, where: IntArray, machine: Machine, home: IntArray
) -> tuple[Csr, TransferTable, dict[tuple[int, int], int]]:
    """Plain dependencies, transfers, and (tensor, device) -> transfer that brings a copy."""
    count = phase.last - phase.first
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    tensor, target = topo.edge_tensor[low:high], topo.edge_node[low:high] - phase.first
    source = topo.producer[tensor] - phase.first
    inside = (source >= 0) & (source < count)
    if len(machine.devices) == 1:
        return Csr.from_pairs(count, source[inside], target[inside]), TransferTable.from_rows(()), {}
    at = np.where(inside, where[source.clip(0, count - 1)], home[tensor])
    crosses = (at >= 0) & (at != where[target]) & ~topo.view[phase.first + target]
    linked = machine.link_of[at.clip(0), where[target]] >= 0
    moved = crosses & linked
    plain = inside & ~moved
    rows: dict[tuple[int, int], tuple[int, int, float, list[int]]] = {}
    for edge in np.flatnonzero(moved).tolist():
        t, a, b = int(tensor[edge]), int(at[edge]), int(where[target[edge]])
        size = float(topo.size_bytes[t]) if machine.copies[a, b] else 0.0
        maker = int(source[edge]) if inside[edge] else -1
        row = rows.setdefault((t, b), (maker, int(machine.link_of[a, b]), size, []))
        row[3].append(int(target[edge]))
    copies = {key: i for i, key in enumerate(rows)}
    return Csr.from_pairs(count, source[plain], target[plain]), TransferTable.from_rows(rows.values()), copies


def _buffers(
    topo: Topology, phase: Phase, repeat: int, where: IntArray, machine: Machine, copies: dict[tuple[int, int], int]
) -> BufferTable:
    """Resident weights, states and inputs; activations of the phase from producer to last consumer; copies."""
    count = phase.last - phase.first
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    tensor, target = topo.edge_tensor[low:high], topo.edge_node[low:high] - phase.first
    root = topo.root[tensor]
    source = topo.producer - phase.first
    made = (source >= 0) & (source < count)
    owner = topo.root == np.arange(len(topo.root))
    fresh = np.flatnonzero(made & owner & (topo.role != _STATE))
    size = topo.size_bytes + repeat * topo.step_bytes
    place = np.full(len(topo.root), -1, dtype=np.int64)
    place[fresh] = np.arange(len(fresh))
    kept = topo.is_output | _used_later(topo, phase)
    keep = np.zeros(len(topo.root), dtype=np.bool_)
    np.logical_or.at(keep, topo.root, kept)
    row, user = place[root], target
    valid = (row >= 0) & ~keep[root]
    consumers = Csr.from_pairs(len(fresh), row[valid], user[valid])
    names = [topo.names[i] for i in fresh.tolist()]
    memory = machine.memory_of[where[source[fresh]]] if len(fresh) else fresh
    unused = np.flatnonzero((np.diff(consumers.start) == 0) & ~keep[fresh])
    if len(unused):
        rows = np.concatenate([row[valid], unused])
        consumers = Csr.from_pairs(len(fresh), rows, np.concatenate([user[valid], source[fresh][unused]]))
    table = BufferTable(names=names, size_bytes=size[fresh], memory=memory, producer=source[fresh], consumers=consumers)
    extra = _residents(topo, phase, size, where, machine)
    for (t, device), index in copies.items():
        lands = int(machine.memory_of[device])
        if machine.memory_of[device] >= 0 and topo.size_bytes[t] and machine.copies.any():
            users = [int(n) for n, x in zip(target, tensor, strict=True) if x == t and where[n] == device]
            extra.append((f"{topo.names[t]}@{machine.devices[device].name}", int(size[t]), lands, count + index, users))
    return _joined(table, BufferTable.from_rows(extra))


def _used_later(topo: Topology, phase: Phase) -> NDArray[np.bool_]:
    """Tensors that nodes of later phases read."""
    later = np.zeros(len(topo.root), dtype=np.bool_)
    later[topo.edge_tensor[topo.edge_node >= phase.last]] = True
    return later


def _residents(
    topo: Topology, phase: Phase, size: IntArray, where: IntArray, machine: Machine
) -> list[tuple[str, int, int, int, Sequence[int]]]:
    """What lies in memory during the whole phase: all weights and states, and what earlier phases left for it."""
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    memory = np.zeros(len(topo.root), dtype=np.int64)
    memory[topo.root[topo.edge_tensor[low:high]]] = machine.memory_of[where[topo.edge_node[low:high] - phase.first]]
    role = topo.role
    outside = topo.producer < 0
    earlier = (topo.producer >= 0) & (topo.producer < phase.first)
    needed = np.zeros(len(topo.root), dtype=np.bool_)
    needed[topo.root[topo.edge_tensor[topo.edge_node >= phase.first]]] = True
    owner = topo.root == np.arange(len(topo.root))
    stays = owner & ((outside & ((role >= ROLES.index("weight")) | needed)) | (earlier & (needed | topo.is_output)))
    totals: list[tuple[str, int, int, int, Sequence[int]]] = []
    weights = stays & (role == ROLES.index("weight"))
    for index in range(len(machine.memories)):
        total = int(size[weights & (memory == index)].sum())
        if total:
            totals.append(("weights", total, index, -1, ()))
    others = np.flatnonzero(stays & ~weights).tolist()
    totals.extend((topo.names[t], int(size[t]), int(memory[t]), -1, ()) for t in others)
    return totals


def _joined(first: BufferTable, second: BufferTable) -> BufferTable:
    start = np.concatenate([first.consumers.start, first.consumers.start[-1] + second.consumers.start[1:]])
    return BufferTable(
        names=[*first.names, *second.names],
        size_bytes=np.concatenate([first.size_bytes, second.size_bytes]),
        memory=np.concatenate([first.memory, second.memory]),
        producer=np.concatenate([first.producer, second.producer]),
        consumers=Csr(start=start, item=np.concatenate([first.consumers.item, second.consumers.item])),
    )
