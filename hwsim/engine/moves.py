"""Tensors that cross links: each once to every device that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.layout import Layout
from hwsim.engine.plan import Csr
from hwsim.graph.graph import Phase

__all__ = ["Moves", "moves_of"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moves:
    """Tensors that cross links in one repeat of a phase.

    Attributes:
        source: Tensor whose values cross, (moves,).
        target: Device they go to, (moves,).
        maker: Task of the phase that makes them; -1 if they are there from the start, (moves,).
        link: Index of the link, (moves,).
        copied: Whether bytes cross and a copy stays; otherwise only the latency of the link passes, (moves,).
        stays: Whether the copy outlives the repeat, because a later one or a later phase reads it, (moves,).
        readers: Tasks that wait for each.
        shown: (move, tensor) of the views through which they are read.
    """

    source: IntArray
    target: IntArray
    maker: IntArray
    link: IntArray
    copied: NDArray[np.bool_]
    stays: NDArray[np.bool_]
    readers: Csr
    shown: IntArray

    def __len__(self) -> int:
        return len(self.source)

    def size_bytes(self, size: IntArray) -> NDArray[np.float64]:
        """What crosses: the views that are read, at most the tensor they show; (moves,)."""
        read = np.bincount(self.shown[:, 0], weights=size[self.shown[:, 1]], minlength=len(self))
        return np.where(self.copied, np.minimum(read, size[self.source]), 0.0)


def moves_of(
    layout: Layout, phase: Phase, tensor: IntArray, reader: IntArray, copies: IntArray
) -> tuple[IntArray, Moves]:
    """(move that each edge waits for, or -1; the moves): each tensor crosses once to each device that reads it."""
    topo, machine = layout.topo, layout.machine
    carried = np.full(len(tensor), -1, dtype=np.int64)
    if len(machine.devices) == 1:
        return carried, _listed(layout, phase, [], [], [])
    view = topo.view[phase.first : phase.last]
    source = topo.source[tensor]
    at = np.where(layout.maker[tensor] >= 0, layout.device[layout.maker[tensor]], -1)
    target = layout.device[phase.first + reader]
    crosses = (at >= 0) & (at != target) & ~view[reader] & (machine.link_of[at, target] >= 0)
    present = {(int(t), int(d)) for t, d in copies.tolist()}
    place: dict[tuple[int, int], int] = {}
    readers: list[list[int]] = []
    shown: list[dict[int, None]] = []
    for edge in np.flatnonzero(crosses).tolist():
        key = (int(source[edge]), int(target[edge]))
        if key in present and layout.maker[tensor[edge]] < phase.first:
            continue
        move = place.setdefault(key, len(place))
        if move == len(readers):
            readers.append([])
            shown.append({})
        readers[move].append(int(reader[edge]))
        shown[move][int(tensor[edge])] = None
        carried[edge] = move
    return carried, _listed(layout, phase, list(place), readers, [list(views) for views in shown])


def _listed(
    layout: Layout,
    phase: Phase,
    keys: Sequence[tuple[int, int]],
    readers: Sequence[Sequence[int]],
    shown: Sequence[Sequence[int]],
) -> Moves:
    """Moves of (source, target) keys as columns."""
    topo, machine = layout.topo, layout.machine
    source, target = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    maker = layout.maker[source]
    at = layout.device[maker]
    earlier = maker < phase.first
    later = layout.last_use[machine.memory_of[target], topo.root[source]] >= phase.last
    pairs = [(move, tensor) for move, views in enumerate(shown) for tensor in views]
    return Moves(
        source=source,
        target=target,
        maker=np.where(earlier, -1, maker - phase.first),
        link=machine.link_of[at, target],
        copied=machine.copies[at, target],
        stays=later | (earlier & (phase.repeat > 1)),
        readers=Csr.from_rows(readers),
        shown=np.array(pairs, dtype=np.int64).reshape(-1, 2),
    )
