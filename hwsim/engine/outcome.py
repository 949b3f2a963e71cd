"""What a replay yields: when each task and transfer ran, what was held, what memory it took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.engine.plan import IntArray, Plan

__all__ = ["MemorySamples", "Run", "Spill"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemorySamples:
    """Bytes in use of one memory, after every instant at which they changed.

    Attributes:
        time_ps: Increasing, (samples,).
        used_bytes: In use from that time on, (samples,).
    """

    time_ps: IntArray
    used_bytes: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """Traffic that an overflowing memory forced before one activity could go on.

    Attributes:
        activity: What waited for it: task t, or transfer k as `tasks + k`.
        memory: Memory that overflowed.
        link: Link crossed.
        written_bytes: Idle buffers written out.
        read_bytes: Buffers read back.
        start_ps: When it held its device and began to wait.
        end_ps: When this traffic had arrived.
    """

    activity: int
    memory: int
    link: int
    written_bytes: int
    read_bytes: int
    start_ps: int
    end_ps: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """One replay of a plan.

    Attributes:
        plan: What was replayed.
        start_ps: When each task took its device, (tasks,).
        end_ps: When each task ended, (tasks,).
        makespan_ps: End of the last activity.
        transfer_start_ps: When each transfer was ready to go, (transfers,).
        transfer_end_ps: When each transfer had arrived, (transfers,).
        memory_peak_bytes: Most in use at once, (memories,).
        memory_samples: Use over time, one a memory; empty unless recorded.
        spills: Traffic forced by overflowing memories, in order.
        events: SimPy events processed.
    """

    plan: Plan
    start_ps: IntArray
    end_ps: IntArray
    makespan_ps: int
    transfer_start_ps: IntArray
    transfer_end_ps: IntArray
    memory_peak_bytes: IntArray
    memory_samples: tuple[MemorySamples, ...]
    spills: tuple[Spill, ...]
    events: int

    @property
    def device_busy_ps(self) -> IntArray:
        """Time in which each device is held by one task at least, (devices,)."""
        busy = np.zeros(len(self.plan.devices), dtype=np.int64)
        task, unit = self.held
        for device in range(len(busy)):
            tasks = task[unit == device]
            busy[device] = _covered_ps(self.start_ps[tasks], self.end_ps[tasks])
        return busy

    @property
    def device_slot_ps(self) -> IntArray:
        """Sum of the times its tasks held each device, (devices,); above `device_busy_ps` where queues overlap."""
        task, device = self.held
        slot = np.zeros(len(self.plan.devices), dtype=np.int64)
        np.add.at(slot, device, (self.end_ps - self.start_ps)[task])
        return slot

    @property
    def link_bytes(self) -> tuple[float, ...]:
        """Bytes that crossed each link, spills included, (links,)."""
        transfers = self.plan.transfers
        total = np.bincount(transfers.link, weights=transfers.size_bytes, minlength=len(self.plan.links)).tolist()
        for spill in self.spills:
            total[spill.link] += spill.written_bytes + spill.read_bytes
        return tuple(total)

    @property
    def edges(self) -> IntArray:
        """(source, target) activities, tasks then transfers: the target starts after the source ends, (2, edges)."""
        plan, transfers = self.plan, self.plan.transfers
        number = np.arange(len(plan), len(plan) + len(transfers), dtype=np.int64)
        made = transfers.producer >= 0
        source = [plan.successors.sources(), transfers.producer[made], number[transfers.consumers.sources()]]
        target = [plan.successors.item, number[made], transfers.consumers.item]
        return np.stack([np.concatenate(source), np.concatenate(target)])

    @property
    def held(self) -> IntArray:
        """(task, device) pairs of who held what; a collective holds all its participants, (2, pairs)."""
        device = np.asarray(self.plan.device, dtype=np.int64)
        task = np.arange(len(device), dtype=np.int64)
        if self.plan.participants is not None:
            alone = np.diff(self.plan.participants.start) == 0
            device = np.concatenate([device[alone], self.plan.participants.item])
            task = np.concatenate([task[alone], self.plan.participants.sources()])
        return np.stack([task, device])[:, device >= 0]


def _covered_ps(start_ps: IntArray, end_ps: IntArray) -> int:
    """Return the length of the union of spans.

    >>> _covered_ps(np.array([0, 2, 9]), np.array([4, 6, 10]))
    7
    """
    if not len(start_ps):
        return 0
    order = np.argsort(start_ps, kind="stable")
    start, end = start_ps[order], np.maximum.accumulate(end_ps[order])
    reached = np.concatenate([start[:1], end[:-1]])
    return int(np.maximum(end - np.maximum(start, reached), 0).sum())
