"""Phases that several devices run together, each on its part: ranks do the same at the same time, so one is replayed.

What rank 0 sends to its neighbour arrives, by that symmetry, when its other neighbour's tensor arrives at rank 0: a
transfer over a link, if the device computes beside it. Other exchanges hold the device. The record of rank 0 then
stands for every rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layout import Layout
from hwsim.engine.machine import Machine
from hwsim.engine.moves import Moves
from hwsim.engine.plan import Csr
from hwsim.errors import InputError
from hwsim.graph.graph import Graph, Node, Phase
from hwsim.specs.system import SystemSpec
from hwsim.trace.record import Columns, Record

__all__ = ["carried_by", "check_ranks", "for_all_ranks", "passed_on", "sends"]

IntArray = NDArray[np.int64]


def check_ranks(graph: Graph, system: SystemSpec) -> None:
    """Raise InputError unless the system has a device of the same kind for each rank, and links between them."""
    chips = list(system.devices.values())[: graph.ranks]
    if len(chips) < graph.ranks:
        raise InputError(
            f"parallel: {graph.ranks} ranks need {graph.ranks} devices; {system.name} has {len(system.devices)}"
        )
    if any(chip.name != chips[0].name for chip in chips) or system.interconnect is None:
        raise InputError(f"parallel: ranks need equal devices and an interconnect, as h100_x8 has; not {system.name}")


def sends(nodes: Sequence[Node]) -> NDArray[np.bool_]:
    """Which nodes of a phase pass a tensor on to the next rank while it computes, (nodes,)."""
    return np.array([getattr(node.op, "beside", False) for node in nodes], dtype=np.bool_)


def passed_on(layout: Layout, phase: Phase, tensor: IntArray, reader: IntArray, nodes: Sequence[Node]) -> Moves:
    """The transfers of a phase's sends, as if from the neighbour to rank 0, and who waits for them.

    Args:
        layout: where everything is.
        phase: which part of the graph.
        tensor: read by each edge of the phase, (edges,).
        reader: task that reads it, (edges,).
        nodes: of the phase.
    """
    topo, machine = layout.topo, layout.machine
    which = np.flatnonzero(sends(nodes))
    made = [int(np.flatnonzero(topo.producer == phase.first + task)[0]) for task in which.tolist()]
    readers = [np.unique(reader[np.isin(topo.source[tensor], [out])]).tolist() for out in made]
    neighbours = [min(nodes[task].op.stride, len(machine.devices) - 1) for task in which.tolist()]  # type: ignore[attr-defined]
    return Moves(
        source=np.array(made, dtype=np.int64),
        target=np.zeros(len(made), dtype=np.int64),
        maker=which.astype(np.int64),
        link=np.array([machine.link_of[at, 0] for at in neighbours], dtype=np.int64),
        copied=np.ones(len(made), dtype=np.bool_),
        stays=np.zeros(len(made), dtype=np.bool_),
        readers=Csr.from_rows(readers),
        shown=np.stack([np.arange(len(made)), np.array(made, dtype=np.int64)], axis=1).reshape(-1, 2).astype(np.int64),
    )


def carried_by(moves: Moves, source: IntArray) -> IntArray:
    """The move that brings the tensor each edge reads, or -1; (edges,)."""
    place = {int(tensor): move for move, tensor in enumerate(moves.source.tolist())}
    return np.array([place.get(tensor, -1) for tensor in source.tolist()], dtype=np.int64)


def for_all_ranks(record: Record, ranks: int, nodes: Sequence[Node], machine: Machine) -> Record:
    """The record of ``ranks`` devices from that of the first, each row once a rank.

    What a collective spends on links is noted for all participants together and shared out among the rows.
    """
    tasks, crossing = len(record.names), len(record.transfers)
    number = np.arange(ranks)
    spread = {f.name: np.tile(getattr(record.columns, f.name), ranks) for f in fields(Columns)}
    members = np.array([float(getattr(node.op, "participants", 1)) for node in nodes])
    spread["link_j"] = np.tile(record.columns.link_j / members, ranks)
    device = np.where(record.device >= 0, number[:, None], -1)
    transfers = [
        (int(machine.link_of[(rank + machine.links[link].source) % ranks, rank]), *rest)
        for rank in number.tolist()
        for link, *rest in record.transfers
    ]
    busy, clock, peak = record.busy_ps.copy(), record.clock.copy(), record.memory_peak_bytes.copy()
    busy[:ranks], clock[:ranks] = busy[0], clock[0]
    samples = list(record.memory_samples)
    if len(peak) == len(machine.devices):
        peak[:ranks] = peak[0]
        samples[:ranks] = samples[:1] * min(ranks, len(samples))
    return replace(
        record,
        names=list(record.names) * ranks,
        kinds=list(record.kinds) * ranks,
        device=device.reshape(-1).astype(np.int64),
        start_ps=np.tile(record.start_ps, ranks),
        end_ps=np.tile(record.end_ps, ranks),
        columns=Columns(**spread),
        busy_ps=busy,
        transfers=transfers,  # type: ignore[arg-type]
        memory_peak_bytes=peak,
        memory_samples=samples,
        clock=clock,
        edges=None if record.edges is None else _edges(record.edges, tasks, crossing, ranks),
    )


def _edges(edges: IntArray, tasks: int, crossing: int, ranks: int) -> IntArray:
    """Dependencies inside each rank; activities are all ranks' tasks, then all ranks' transfers."""
    number = np.arange(ranks)[:, None, None]
    found = np.where(edges < tasks, edges + number * tasks, edges + tasks * (ranks - 1) + number * crossing)
    joined: IntArray = np.concatenate(list(found), axis=1)
    return joined
