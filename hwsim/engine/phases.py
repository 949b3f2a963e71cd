"""Place, assemble and replay the phases of a graph; repeats that are alike run once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.pricing import GraphCosts, NodeCosts
from hwsim.engine.assemble import Machine, assemble
from hwsim.engine.outcome import Run
from hwsim.engine.posing import pose
from hwsim.engine.replay import run
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.topology import Topology
from hwsim.placement.problem import POLICIES, Placement
from hwsim.specs.system import SystemSpec
from hwsim.trace.record import Columns, Record

__all__ = ["replay_phases"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Setting:
    """What stays the same over all phases of a run."""

    graph: Graph
    topo: Topology
    costs: Sequence[GraphCosts]
    machine: Machine
    system: SystemSpec
    policy: str
    options: Mapping[str, object]


def replay_phases(
    graph: Graph,
    topo: Topology,
    costs: Sequence[GraphCosts],
    machine: Machine,
    system: SystemSpec,
    *,
    policy: str,
    options: Mapping[str, object],
) -> tuple[Record, ...]:
    """Run all phases one after another.

    Args:
        graph: what runs.
        topo: its arrays.
        costs: its price on each device, in the system's order.
        machine: the system as the engine sees it.
        system: the system.
        policy: name of the placement policy.
        options: what the scenario tells the policy.

    Raises:
        PlacementError: some operator has no device.
        OutOfMemoryError: a memory overflows.
        DeadlockError: some work waits for ever.
    """
    setting = _Setting(
        graph=graph, topo=topo, costs=costs, machine=machine, system=system, policy=policy, options=options
    )
    home = np.full(len(topo.names), -1, dtype=np.int64)
    records: list[Record] = []
    offset = 0
    for phase in graph.phases:
        found, home = _phase(setting, phase, home, offset)
        records += found
        offset = records[-1].end_offset_ps
    return tuple(records)


def _phase(setting: _Setting, phase: Phase, home: IntArray, offset: int) -> tuple[list[Record], IntArray]:
    topo, machine, costs = setting.topo, setting.machine, setting.costs
    problem = pose(phase, topo, costs, machine, setting.system, setting.options)
    placement = POLICIES[setting.policy].place(problem)
    view = topo.view[phase.first : phase.last]
    blends = [c.cap(phase, (placement.device == i) & ~view) for i, c in enumerate(costs)]
    clock = np.array([_clock(c, blend) for c, blend in zip(costs, blends, strict=True)])
    grows = phase.repeat > 1 and (any(c.growing(phase) for c in costs) or _tensors_grow(topo, phase))
    arrives = bool((home >= 0).any()) and len(machine.devices) > 1
    ahead = home
    records: list[Record] = []
    for index, repeats in _batches(phase.repeat, grows=grows, arrives=arrives):
        nodes = [c.nodes(phase, index, blend) for c, blend in zip(costs, blends, strict=True)]
        plan = assemble(setting.graph, topo, phase, index, placement, nodes, machine, ahead)
        done = run(plan, record=index == 0)
        records.append(_record(setting, phase, index, repeats, offset, placement, nodes, done, clock))
        offset = records[-1].end_offset_ps
        ahead = np.full_like(home, -1)
    after = home.copy()
    made = (topo.producer >= phase.first) & (topo.producer < phase.last)
    after[made] = placement.device[topo.producer[made] - phase.first]
    return records, after


def _tensors_grow(topo: Topology, phase: Phase) -> bool:
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    return bool(topo.step_bytes[topo.edge_tensor[low:high]].any())


def _batches(repeat: int, *, grows: bool, arrives: bool) -> list[tuple[int, int]]:
    """(first repeat, how many are alike): each alone when the work grows, the first apart when data arrives."""
    if grows:
        return [(i, 1) for i in range(repeat)]
    if arrives and repeat > 1:
        return [(0, 1), (1, repeat - 1)]
    return [(0, repeat)]


def _clock(costs: GraphCosts, blend: tuple[int, int, float]) -> float:
    fast, slow, share = blend
    return costs.clocks[fast] * (1.0 - share) + costs.clocks[slow] * share


def _record(
    setting: _Setting,
    phase: Phase,
    index: int,
    repeats: int,
    offset: int,
    placement: Placement,
    nodes: Sequence[NodeCosts],
    done: Run,
    clock: NDArray[np.float64],
) -> Record:
    plan, table = done.plan, done.plan.transfers
    listed = setting.graph.nodes[phase.first : phase.last]
    times = zip(table.link, table.size_bytes, done.transfer_start_ps, done.transfer_end_ps, table.producer, strict=True)
    transfers = [
        (int(link), float(size), int(start), int(end), plan.names[maker] if maker >= 0 else "earlier phase")
        for link, size, start, end, maker in times
    ]
    return Record(
        phase=phase.name,
        index=index,
        repeats=repeats,
        offset_ps=offset,
        period_ps=done.makespan_ps,
        names=plan.names,
        kinds=[node.op.kind for node in listed],
        device=plan.device,
        start_ps=done.start_ps,
        end_ps=done.end_ps,
        columns=_columns(nodes, placement, setting.topo.view[phase.first : phase.last]),
        busy_ps=done.device_busy_ps,
        transfers=transfers,
        memory_peak_bytes=done.memory_peak_bytes,
        memory_samples=[(s.time_ps, s.used_bytes) for s in done.memory_samples],
        clock=clock,
        policy=placement.policy,
        spilled_bytes=float(sum(s.written_bytes + s.read_bytes for s in done.spills)),
        held=None if plan.participants is None else done.held,
        edges=done.edges,
    )


def _columns(nodes: Sequence[NodeCosts], placement: Placement, view: NDArray[np.bool_]) -> Columns:
    """The costs of each task on the device it ran on; views cost nothing."""
    chosen: dict[str, NDArray[np.float64]] = {}
    for item in fields(NodeCosts):
        parts = [getattr(n, item.name) for n in nodes]
        column = parts[0] if len(parts) == 1 else np.choose(placement.device, parts)
        chosen[item.name] = np.where(view, 0, column)
    return Columns(
        alone_s=chosen["time_s"] - chosen["dispatch_s"],
        dram_bytes=chosen["dram_bytes"],
        compute_j=chosen["compute_j"],
        memory_j=chosen["memory_j"],
        active_j=chosen["active_j"],
        flop=chosen["flop"],
        utilization=chosen["utilization"],
        bound=chosen["bound"].astype(np.int8),
    )
