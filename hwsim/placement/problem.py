"""What a placement policy is handed, and what it answers: plain arrays, no clock, no device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import PlacementError
from hwsim.registry import Registry

__all__ = ["POLICIES", "Placement", "Policy", "Problem"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Tasks, devices, and what running each on each costs.

    Attributes:
        devices: Role of each device, in the system's order.
        kinds: Kind of each device (``simt_gpu``, ``cpu`` ...), same order.
        time_s: (devices, tasks); infinite where a device cannot run a task.
        energy_j: Dynamic energy, (devices, tasks).
        operators: Operator kind of each task.
        names: Name of each task.
        tags: Tags of each task.
        edges: (edges, 2) producer and consumer task, ascending by consumer.
        edge_bytes: Bytes that cross when both run on different devices, (edges,).
        latency_s: Of the link between two devices, (devices, devices); 0 on the diagonal.
        seconds_per_byte: Of that link, (devices, devices); 0 where nothing is copied (unified memory).
        options: What the scenario says to the policy: ``rules``, ``default``, ``providers``, ``device``.
    """

    devices: tuple[str, ...]
    kinds: tuple[str, ...]
    time_s: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    operators: Sequence[str]
    names: Sequence[str]
    edges: NDArray[np.int64]
    edge_bytes: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    seconds_per_byte: NDArray[np.float64]
    tags: Sequence[tuple[str, ...]] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.time_s.shape[1])

    def transfer_s(self, edge: int, source: int, target: int) -> float:
        """Seconds edge ``edge`` costs between two devices; nothing on the same one."""
        if source == target:
            return 0.0
        return float(self.latency_s[source, target] + self.edge_bytes[edge] * self.seconds_per_byte[source, target])

    @cached_property
    def incoming(self) -> list[list[int]]:
        """Edges that end at each task."""
        result: list[list[int]] = [[] for _ in range(len(self))]
        for edge, task in enumerate(self.edges[:, 1].tolist()):
            result[task].append(edge)
        return result

    @cached_property
    def outgoing(self) -> list[list[int]]:
        """Edges that start at each task."""
        result: list[list[int]] = [[] for _ in range(len(self))]
        for edge, task in enumerate(self.edges[:, 0].tolist()):
            result[task].append(edge)
        return result

    def check(self) -> None:
        """Raise PlacementError naming the tasks that no device can run."""
        nowhere = np.flatnonzero(~np.isfinite(self.time_s).any(axis=0)).tolist()
        if nowhere:
            shown = ", ".join(f"{self.names[i]} ({self.operators[i]})" for i in nowhere[:5])
            more = f" and {len(nowhere) - 5} more" if len(nowhere) > 5 else ""
            raise PlacementError(f"no device of {', '.join(self.devices)} can run {shown}{more}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """Who runs each task, and in which order each device takes its tasks (lower ``priority`` first).

    ``planned_s`` is the makespan the policy expects without contention.
    """

    policy: str
    device: NDArray[np.int64]
    priority: NDArray[np.int64]
    planned_s: float = 0.0


class Policy(ABC):
    """A placement policy; pure: the same problem gives the same placement. ``options`` are the keys it reads."""

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def place(self, problem: Problem) -> Placement:
        """Decide; raises PlacementError when some task has no device."""


POLICIES: Registry[Policy] = Registry("placement policy")
"""Every policy by name."""
