"""Place, assemble and replay the phases of a graph; repeats that are alike run once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import BOUNDS
from hwsim.devices.pricing import GraphCosts, NodeCosts
from hwsim.engine.assemble import assemble, shape_of
from hwsim.engine.layout import Layout, layout_of
from hwsim.engine.machine import Machine
from hwsim.engine.moves import Moves
from hwsim.engine.outcome import Run
from hwsim.engine.posing import pose
from hwsim.engine.ranks import check_ranks, for_all_ranks, sends
from hwsim.engine.replay import run
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.topology import Topology
from hwsim.placement.problem import POLICIES, Placement
from hwsim.placement.single import on_one
from hwsim.specs.system import SystemSpec
from hwsim.trace.record import Columns, Record

__all__ = ["replay_phases"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Setting:
    """What stays the same over all phases of a run."""

    graph: Graph
    layout: Layout
    costs: Sequence[GraphCosts]


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
    problems = [pose(phase, topo, costs, machine, system, options) for phase in graph.phases]
    if graph.ranks > 1:
        check_ranks(graph, system)
        placements = [on_one(problem, 0, "ranks") for problem in problems]
    else:
        placements = [POLICIES[policy].place(problem) for problem in problems]
    layout = layout_of(topo, machine, graph.phases, placements)
    setting = _Setting(graph=graph, layout=layout, costs=costs)
    copies = np.zeros((0, 2), dtype=np.int64)
    records: list[Record] = []
    offset = 0
    for phase, placement in zip(graph.phases, placements, strict=True):
        found, copies = _phase(setting, phase, placement, copies, offset)
        records += found
        offset = records[-1].end_offset_ps
    return tuple(records)


def _phase(
    setting: _Setting, phase: Phase, placement: Placement, copies: IntArray, offset: int
) -> tuple[list[Record], IntArray]:
    """The records of a phase, and what has been brought to other devices by its end."""
    layout, costs = setting.layout, setting.costs
    topo, machine = layout.topo, layout.machine
    view = topo.view[phase.first : phase.last]
    blends = [c.cap(phase, (placement.device == i) & ~view) for i, c in enumerate(costs)]
    clock = np.array([_clock(c, blend) for c, blend in zip(costs, blends, strict=True)])
    grows = phase.repeat > 1 and (any(c.growing(phase) for c in costs) or _tensors_grow(topo, phase))
    shape = shape_of(setting.graph, layout, phase, placement, copies)
    brought = _brought(shape.moves, copies)
    arrives = bool((shape.moves.maker < 0).any())
    records: list[Record] = []
    for index, repeats in _batches(phase.repeat, grows=grows, arrives=arrives):
        if index == 1 and arrives:
            shape = shape_of(setting.graph, layout, phase, placement, brought)
        nodes = [c.nodes(phase, index, blend) for c, blend in zip(costs, blends, strict=True)]
        plan = assemble(shape, topo, machine, index, placement, nodes)
        done = run(plan, record=index == 0)
        records.append(_record(setting, phase, index, repeats, offset, placement, nodes, done, clock))
        offset = records[-1].end_offset_ps
    return records, brought


def _brought(moves: Moves, copies: IntArray) -> IntArray:
    """(tensor, device) of copies that outlive a phase, with those of before."""
    stays = np.stack([moves.source[moves.stays], moves.target[moves.stays]], axis=1)
    return np.concatenate([copies, stays])


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
    unpriced = setting.layout.topo.view[phase.first : phase.last]
    if phase.ranks > 1:
        unpriced = unpriced | sends(listed)
    times = zip(table.link, table.size_bytes, done.transfer_start_ps, done.transfer_end_ps, table.producer, strict=True)
    transfers = [
        (int(link), float(size), int(start), int(end), plan.names[maker] if maker >= 0 else "earlier phase")
        for link, size, start, end, maker in times
    ]
    record = Record(
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
        columns=_columns(nodes, placement, unpriced),
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
    return record if phase.ranks == 1 else for_all_ranks(record, phase.ranks, listed, setting.layout.machine)


def _columns(nodes: Sequence[NodeCosts], placement: Placement, view: NDArray[np.bool_]) -> Columns:
    """The costs of each task on the device it ran on; views, and what only a link carries, cost nothing."""
    chosen: dict[str, NDArray[np.float64]] = {}
    for item in fields(NodeCosts):
        parts = [getattr(n, item.name) for n in nodes]
        column = parts[0] if len(parts) == 1 else np.choose(placement.device, parts)
        chosen[item.name] = np.where(view, 0, column)
    on_links = chosen["bound"] == BOUNDS.index("link")
    return Columns(
        alone_s=chosen["time_s"] - chosen["dispatch_s"],
        dram_bytes=chosen["dram_bytes"],
        compute_j=chosen["compute_j"],
        memory_j=np.where(on_links, 0.0, chosen["memory_j"]),
        link_j=np.where(on_links, chosen["memory_j"], 0.0),
        active_j=chosen["active_j"],
        flop=chosen["flop"],
        utilization=chosen["utilization"],
        bound=chosen["bound"].astype(np.int8),
    )
