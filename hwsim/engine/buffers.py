"""What lies in memory during a phase: what was there before, what its tasks make, and copies that crossed links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layout import Layout
from hwsim.engine.moves import Moves
from hwsim.engine.plan import BufferTable, Csr
from hwsim.graph.graph import Phase
from hwsim.graph.topology import ROLES

__all__ = ["Buffers", "Edges", "buffers_of"]

IntArray = NDArray[np.int64]
_WEIGHT = ROLES.index("weight")


class Edges(NamedTuple):
    """Who reads what in a phase; columns of shape (edges,).

    Attributes:
        root: Tensor whose storage is read.
        reader: Task that reads it.
        carried: Move it waits for; -1 if it reads where the tensor lies.
    """

    root: IntArray
    reader: IntArray
    carried: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buffers:
    """The buffers of a phase without their sizes, which may change from repeat to repeat.

    Attributes:
        names: Of all buffers.
        memory: Where each lies, (buffers,).
        producer: Task or move that makes it, -1 for what is there before, (buffers,).
        consumers: Tasks and moves that read it.
        tensor: Tensor of each buffer but the last ones, (buffers - totals,).
        copy: Move that makes it, -1 for others, (buffers - totals,).
        weights: (tensor, total) of weights that lie together in one of the last buffers, one a memory.
    """

    names: Sequence[str]
    memory: IntArray
    producer: IntArray
    consumers: Csr
    tensor: IntArray
    copy: IntArray
    weights: IntArray

    def sized(self, size: IntArray, moved: NDArray[np.float64]) -> BufferTable:
        """The buffers as the engine wants them, given the bytes of all tensors and of all moves."""
        own = size[self.tensor]
        brought = np.flatnonzero(self.copy >= 0)
        own[brought] = moved[self.copy[brought]].astype(np.int64)
        totals = len(self.memory) - len(self.tensor)
        weights = np.zeros(totals, dtype=np.int64)
        np.add.at(weights, self.weights[:, 1], size[self.weights[:, 0]])
        return BufferTable(
            names=self.names,
            size_bytes=np.concatenate([own, weights]),
            memory=self.memory,
            producer=self.producer,
            consumers=self.consumers,
        )


def buffers_of(layout: Layout, phase: Phase, edges: Edges, moves: Moves, copies: IntArray) -> Buffers:
    """The buffers of a phase.

    Weights are one buffer a memory, unless memories spill: then each may leave and come back by itself.

    Args:
        layout: where everything is.
        phase: which part of the graph.
        edges: who reads what in it.
        moves: what crosses links in it.
        copies: (tensor, device) of what was brought to other devices before.
    """
    topo, machine = layout.topo, layout.machine
    tasks = phase.last - phase.first
    made = layout.made_in(phase)
    kept, kept_memory = layout.residents(phase, copies)
    spills = any(memory.allow_spill for memory in machine.memories)
    together = (topo.role[kept] == _WEIGHT) & (not spills)
    alone, alone_memory = kept[~together], kept_memory[~together]
    totals, total_of = np.unique(kept_memory[together], return_inverse=True)
    copied = np.flatnonzero(moves.copied)
    producer = topo.producer[made]
    names = [topo.names[t] for t in made.tolist()]
    names += [f"{topo.names[moves.source[k]]}@{machine.devices[moves.target[k]].name}" for k in copied.tolist()]
    names += [topo.names[t] for t in alone.tolist()] + ["weights"] * len(totals)
    outside = np.full(len(alone) + len(totals), -1, dtype=np.int64)
    readers = _readers(layout, phase, edges, moves, made)
    rows = [moves.readers.row(k) if not moves.stays[k] else [] for k in copied.tolist()]
    rows += _resident_readers(layout, phase, edges, alone, alone_memory) if spills else [[]] * len(alone)
    rows += [[]] * len(totals)
    return Buffers(
        names=names,
        memory=np.concatenate(
            [machine.memory_of[layout.device[producer]], machine.memory_of[moves.target[copied]], alone_memory, totals]
        ),
        producer=np.concatenate([producer - phase.first, tasks + copied, outside]),
        consumers=_joined(readers, Csr.from_rows(rows)),
        tensor=np.concatenate([made, moves.source[copied], alone]),
        copy=np.concatenate([np.full(len(made), -1), copied, np.full(len(alone), -1)]),
        weights=np.stack([kept[together], total_of.reshape(-1)], axis=1),
    )


def _readers(layout: Layout, phase: Phase, edges: Edges, moves: Moves, made: IntArray) -> Csr:
    """Who reads what the phase makes; nobody where it outlives the phase, its maker where nobody else does.

    What is copied to another memory is read by its move, what is handed over in one memory by the tasks themselves.
    """
    topo, tasks = layout.topo, phase.last - phase.first
    place = np.full(len(topo.root), -1, dtype=np.int64)
    place[made] = np.arange(len(made))
    stays = layout.needed_after(phase)
    row = place[edges.root]
    used = (row >= 0) & ~stays[edges.root]
    copied = np.append(moves.copied, np.False_)[edges.carried]
    user = np.where(copied, tasks + edges.carried, edges.reader)
    unread = np.flatnonzero((np.bincount(row[used], minlength=len(made)) == 0) & ~stays[made])
    maker = topo.producer[made[unread]] - phase.first
    return Csr.from_pairs(len(made), np.concatenate([row[used], unread]), np.concatenate([user[used], maker]))


def _resident_readers(
    layout: Layout, phase: Phase, edges: Edges, tensor: IntArray, memory: IntArray
) -> list[list[int]]:
    """Tasks that read each resident tensor from its memory."""
    place = {key: i for i, key in enumerate(zip(tensor.tolist(), memory.tolist(), strict=True))}
    rows: list[list[int]] = [[] for _ in place]
    lies = layout.machine.memory_of[layout.device[phase.first + edges.reader]]
    here = ~layout.topo.view[phase.first + edges.reader] & (edges.carried < 0)
    for root, reader, at in zip(
        edges.root[here].tolist(), edges.reader[here].tolist(), lies[here].tolist(), strict=True
    ):
        row = place.get((root, at))
        if row is not None:
            rows[row].append(reader)
    return rows


def _joined(first: Csr, second: Csr) -> Csr:
    start = np.concatenate([first.start, first.start[-1] + second.start[1:]])
    return Csr(start=start, item=np.concatenate([first.item, second.item]))
