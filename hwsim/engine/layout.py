"""Where everything is: who runs each node, where its values lie, and which memories need which tensors until when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.engine.machine import Machine
from hwsim.graph.graph import Phase
from hwsim.graph.topology import ROLES, Topology
from hwsim.placement.problem import Placement

__all__ = ["Layout", "layout_of"]

IntArray = NDArray[np.int64]
_WEIGHT, _STATE, _INPUT = (ROLES.index(role) for role in ("weight", "state", "input"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layout:
    """A graph placed on a machine, all phases.

    Attributes:
        topo: The graph's arrays.
        machine: The system.
        device: Device that runs each node; of a view, where the values it shows are made, -1 outside, (nodes,).
        maker: Node that makes the values of each tensor, views looked through; -1 outside, (tensors,).
        last_use: Last node that reads each tensor's storage from each memory; -1 if none, (memories, tensors).
        kept: Whether a tensor's storage is an output of the graph, (tensors,).
    """

    topo: Topology
    machine: Machine
    device: IntArray
    maker: IntArray
    last_use: IntArray
    kept: NDArray[np.bool_]

    @property
    def home(self) -> IntArray:
        """Device where the values of each tensor are made; -1 outside, (tensors,)."""
        return np.where(self.maker >= 0, self.device[self.maker], -1)

    def made_in(self, phase: Phase) -> IntArray:
        """Tensors with storage of their own that a phase makes."""
        producer = self.topo.producer
        inside = (producer >= phase.first) & (producer < phase.last)
        owner = self.topo.root == np.arange(len(producer))
        return np.flatnonzero(inside & owner & (self.topo.role != _STATE))

    def needed_after(self, phase: Phase) -> NDArray[np.bool_]:
        """Whether each tensor's storage outlives a phase, (tensors,)."""
        return np.asarray(self.kept | (self.last_use >= phase.last).any(axis=0))

    def residents(self, phase: Phase, copies: IntArray) -> tuple[IntArray, IntArray]:
        """(tensor, memory) of what lies there from the start of a phase.

        Weights and states lie all the time in every memory from which some device reads them, inputs until their last
        reader; what earlier phases made lies where it was made, and copies, given as (tensor, device) rows, where they
        were brought, while somebody needs it.
        """
        topo, memory_of = self.topo, self.machine.memory_of
        tensors = np.arange(len(topo.root))
        owner = topo.root == tensors
        constant = owner & (topo.producer < 0) & ((topo.role == _WEIGHT) | (topo.role == _STATE))
        given = owner & (topo.producer < 0) & ~constant
        earlier = owner & (topo.producer >= 0) & (topo.producer < phase.first)
        earlier &= self.kept | (self.last_use >= phase.first).any(axis=0)
        unread = (self.last_use < 0).all(axis=0) & (constant | (given & self.kept))
        found = [(np.flatnonzero(unread), 0)]
        for memory, last in enumerate(self.last_use):
            found.append((np.flatnonzero((constant & (last >= 0)) | (given & (last >= phase.first))), memory))
        made = np.flatnonzero(earlier)
        rows = [np.concatenate([part for part, _ in found] + [made])]
        places = [np.repeat([memory for _, memory in found], [len(part) for part, _ in found])]
        places.append(memory_of[self.device[topo.producer[made]]])
        if len(copies):
            brought, lands = topo.root[copies[:, 0]], memory_of[copies[:, 1]]
            wanted = self.last_use[lands, brought] >= phase.first
            rows.append(brought[wanted])
            places.append(lands[wanted])
        return np.concatenate(rows).astype(np.int64), np.concatenate(places).astype(np.int64)


def layout_of(topo: Topology, machine: Machine, phases: Sequence[Phase], placements: Sequence[Placement]) -> Layout:
    """The layout of a graph whose phases are placed."""
    device = np.full(len(topo.view), -1, dtype=np.int64)
    for phase, placement in zip(phases, placements, strict=True):
        device[phase.first : phase.last] = placement.device
    maker = topo.producer[topo.source]
    if topo.view.any() and len(machine.devices) > 1:
        _place_views(topo, device)
    reads = ~topo.view[topo.edge_node]
    tensor, node = topo.root[topo.edge_tensor[reads]], topo.edge_node[reads]
    memory = machine.memory_of[device[node]]
    last_use = np.full((len(machine.memories), len(topo.root)), -1, dtype=np.int64)
    last_use[memory, tensor] = node  # edges ascend by node, so that the last one stays
    kept = np.zeros(len(topo.root), dtype=np.bool_)
    kept[topo.root[topo.is_output]] = True
    return Layout(topo=topo, machine=machine, device=device, maker=maker, last_use=last_use, kept=kept)


def _place_views(topo: Topology, device: IntArray) -> None:
    """Put every view where the first tensor it shows is made; -1 if that comes from outside."""
    low = np.searchsorted(topo.edge_node, np.arange(len(topo.view) + 1))
    for node in np.flatnonzero(topo.view).tolist():
        if low[node] == low[node + 1]:
            continue
        maker = int(topo.producer[topo.source[topo.edge_tensor[low[node]]]])
        device[node] = device[maker] if maker >= 0 else -1
