"""A placed phase becomes the plan the engine replays: what does not change from repeat to repeat is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.pricing import NodeCosts
from hwsim.engine.buffers import Buffers, Edges, buffers_of
from hwsim.engine.layout import Layout
from hwsim.engine.machine import Machine, picoseconds
from hwsim.engine.moves import Moves, moves_of
from hwsim.engine.plan import Csr, Plan, TransferTable
from hwsim.engine.ranks import carried_by, passed_on, sends
from hwsim.graph.graph import Graph, Phase
from hwsim.graph.topology import Topology
from hwsim.placement.problem import Placement

__all__ = ["Shape", "assemble", "shape_of"]

IntArray = NDArray[np.int64]
_COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What every repeat of a placed phase has in common.

    Attributes:
        first: Index of the first task among the graph's nodes.
        names: Of the tasks.
        device: Device of each task, -1 for views and for what only a link carries, (tasks,).
        priority: Order in which devices take their tasks, (tasks,).
        successors: Dependencies that cross no link.
        moves: Tensors that cross links.
        buffers: What lies in memory, without sizes.
        participants: Devices that collectives hold.
    """

    first: int
    names: Sequence[str]
    device: IntArray
    priority: IntArray
    successors: Csr
    moves: Moves
    buffers: Buffers
    participants: Csr | None


def assemble(
    shape: Shape,
    topo: Topology,
    machine: Machine,
    repeat: int,
    placement: Placement,
    costs: Sequence[NodeCosts],
) -> Plan:
    """The plan of one repeat of a phase.

    Args:
        shape: of the phase.
        topo: the graph's arrays.
        machine: the system.
        repeat: index of the repeat, for tensors that grow.
        placement: device of each node of the phase.
        costs: node costs on each device, in the machine's order.
    """
    view = topo.view[shape.first : shape.first + len(shape.names)]
    column = {
        name: _chosen(costs, placement.device, name) for name in ("time_s", "overhead_s", "dispatch_s", "dram_bytes")
    }
    dispatch = np.where(view, 0.0, column["dispatch_s"])
    duration = picoseconds(np.where(shape.device < 0, 0.0, column["time_s"] - dispatch))
    overhead = np.minimum(picoseconds(np.maximum(np.where(view, 0.0, column["overhead_s"] - dispatch), 0.0)), duration)
    size = topo.size_bytes + repeat * topo.step_bytes if repeat else topo.size_bytes
    moved = shape.moves.size_bytes(size)
    moves = shape.moves
    return Plan(
        names=shape.names,
        device=shape.device,
        duration_ps=duration,
        overhead_ps=overhead,
        dram_bytes=np.where(shape.device < 0, 0.0, column["dram_bytes"]),
        priority=shape.priority,
        release_ps=_released(dispatch, placement.priority),
        successors=shape.successors,
        devices=machine.devices,
        memories=machine.memories,
        links=machine.links,
        transfers=TransferTable(producer=moves.maker, link=moves.link, size_bytes=moved, consumers=moves.readers),
        buffers=shape.buffers.sized(size, moved),
        participants=shape.participants,
    )


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


def shape_of(graph: Graph, layout: Layout, phase: Phase, placement: Placement, copies: IntArray) -> Shape:
    """The shape of a phase.

    Args:
        graph: what runs.
        layout: where everything is.
        phase: which part of it.
        placement: device of each node of the phase.
        copies: (tensor, device) of earlier phases' values that were brought to other devices before.
    """
    topo, machine = layout.topo, layout.machine
    count = phase.last - phase.first
    view = topo.view[phase.first : phase.last]
    low, high = np.searchsorted(topo.edge_node, [phase.first, phase.last])
    tensor, reader = topo.edge_tensor[low:high], topo.edge_node[low:high] - phase.first
    nodes = graph.nodes[phase.first : phase.last]
    carried, moves = moves_of(layout, phase, tensor, reader, copies)
    on_links = np.zeros(count, dtype=np.bool_)
    if phase.ranks > 1:
        moves, on_links = passed_on(layout, phase, tensor, reader, nodes), sends(nodes)
        carried = carried_by(moves, topo.source[tensor])
    maker = topo.producer[tensor] - phase.first
    plain = (maker >= 0) & (maker < count) & (carried < 0)
    meets = phase.ranks == 1
    collective = [i for i, node in enumerate(nodes) if meets and node.op.kind in _COLLECTIVES]
    return Shape(
        first=phase.first,
        names=[node.name for node in nodes],
        device=np.where(view | on_links, -1, placement.device),
        priority=placement.priority,
        successors=Csr.from_pairs(count, maker[plain], reader[plain]),
        moves=moves,
        buffers=buffers_of(layout, phase, Edges(topo.root[tensor], reader, carried), moves, copies),
        participants=_participants(collective, count, len(machine.devices)),
    )


def _participants(collective: Sequence[int], tasks: int, devices: int) -> Csr | None:
    """A collective holds every device of the system."""
    if not collective or devices < 2:
        return None
    chosen = set(collective)
    return Csr.from_rows(range(devices) if i in chosen else () for i in range(tasks))
