"""A plan, rewritten for the event loop: tasks numbered by rank, transfers after them, plain lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsim.engine.plan import Csr, IntArray, Plan

__all__ = ["COLLECTIVE", "TRANSFER", "VIEW", "Program", "compile_plan"]

VIEW = -1
"""Route of an activity that completes at once, on no device."""
TRANSFER = -2
"""Route of an activity that crosses a link."""
COLLECTIVE = -3
"""Route of an activity that several devices start together."""

PS_PER_S = 10**12


@dataclass(slots=True, kw_only=True, eq=False)
class Program:
    """What the event loop reads, one entry per activity: tasks by rank of (priority, index), then transfers.

    Lists, because reading one element of an array costs five times as much.

    Attributes:
        tasks: Number of tasks; activity `tasks + k` is transfer k.
        rank: Activity of each task of the plan, (tasks,).
        route: Device of each activity, or `VIEW`, `TRANSFER`, `COLLECTIVE`.
        duration_ps: Time of each task alone, (tasks,).
        pending: How many activities and releases each one waits for.
        succ_start: Where the successors of each activity begin.
        succ: Successors, concatenated.
        pool: Memory whose bandwidth each task contends for; -1 if it shares nothing. Empty if no task shares.
        overhead_ps: Leading part of a sharing task without traffic. Empty if no task shares.
        demand: Bytes per second a sharing task draws alone. Empty if no task shares.
        participants: Devices of each collective.
        releases: (time, tasks that may not start earlier), by time.
    """

    tasks: int
    rank: IntArray
    route: list[int]
    duration_ps: list[int]
    pending: list[int]
    succ_start: list[int]
    succ: list[int]
    pool: list[int]
    overhead_ps: list[int]
    demand: list[float]
    participants: dict[int, list[int]]
    releases: list[tuple[int, list[int]]]

    def activity(self, plan_ids: IntArray) -> IntArray:
        """Return the program's numbers of activities written as in the plan; -1 stays -1."""
        transfers = np.arange(self.tasks, len(self.route), dtype=np.int64)
        numbers: IntArray = np.concatenate([self.rank, transfers, [-1]])[plan_ids]
        return numbers

    def label(self, activity: int, plan: Plan) -> str:
        """Return what to call an activity in a message."""
        if activity < 0:
            return "the run, before it starts,"
        if activity < self.tasks:
            return plan.names[int(np.flatnonzero(self.rank == activity)[0])]
        transfer = activity - self.tasks
        producer, link = int(plan.transfers.producer[transfer]), plan.links[int(plan.transfers.link[transfer])]
        return f"the transfer of {plan.names[producer] if producer >= 0 else 'an input'} over {link.name}"


def compile_plan(plan: Plan) -> Program:
    """Return the program of a plan."""
    tasks = len(plan)
    rank, order = _ranks(plan, tasks)
    successors = _successors(plan, rank, tasks)
    device = plan.device[order]
    pending = np.bincount(successors.item, minlength=tasks + len(plan.transfers))
    releases = _releases(plan, order)
    for _, released in releases:
        pending[released] += 1
    program = Program(
        tasks=tasks,
        rank=rank,
        route=device.tolist() + [TRANSFER] * len(plan.transfers),
        duration_ps=plan.duration_ps[order].tolist(),
        pending=pending.tolist(),
        succ_start=successors.start.tolist(),
        succ=successors.item.tolist(),
        pool=[],
        overhead_ps=[],
        demand=[],
        participants={},
        releases=releases,
    )
    if plan.participants is not None:
        for task in np.flatnonzero(np.diff(plan.participants.start)).tolist():
            program.participants[int(rank[task])] = plan.participants.row(task)
            program.route[int(rank[task])] = COLLECTIVE
    _mark_shared(plan, program, order)
    return program


def _ranks(plan: Plan, tasks: int) -> tuple[IntArray, IntArray]:
    """Return (rank of each task, task of each rank) in the order of (priority, index)."""
    identity = np.arange(tasks, dtype=np.int64)
    if plan.priority is None or not np.any(np.diff(plan.priority) < 0):
        return identity, identity
    order = np.argsort(plan.priority, kind="stable")
    rank = np.empty(tasks, dtype=np.int64)
    rank[order] = identity
    return rank, order


def _successors(plan: Plan, rank: IntArray, tasks: int) -> Csr:
    """Return who waits for whom, over tasks and transfers."""
    transfers = plan.transfers
    count = len(transfers)
    if not count and plan.priority is None:
        return plan.successors
    number = np.arange(tasks, tasks + count, dtype=np.int64)
    made = transfers.producer >= 0
    source = [rank[plan.successors.sources()], rank[transfers.producer[made]], number[transfers.consumers.sources()]]
    target = [rank[plan.successors.item], number[made], rank[transfers.consumers.item]]
    return Csr.from_pairs(tasks + count, np.concatenate(source), np.concatenate(target))


def _releases(plan: Plan, order: IntArray) -> list[tuple[int, list[int]]]:
    """Return (time, ranks released then), by increasing time, without time 0."""
    if plan.release_ps is None:
        return []
    release = plan.release_ps[order]
    times = np.unique(release[release > 0])
    by_time = Csr.from_pairs(len(times), np.searchsorted(times, release[release > 0]), np.flatnonzero(release > 0))
    return [(time, by_time.row(row)) for row, time in enumerate(times.tolist())]


def _mark_shared(plan: Plan, program: Program, order: IntArray) -> None:
    """Fill in pool, overhead and demand if units share a memory's bandwidth.

    The demand of an operator is its bytes over its time without overheads, no more than its port and the memory give:
    alone, it takes its own time whatever its bytes say. A memory that only one queue draws from is shared by nobody.
    """
    if plan.dram_bytes is None or not len(plan):
        return
    queues = [0] * len(plan.memories)
    for device in plan.devices:
        if device.memory >= 0:
            queues[device.memory] += device.queues
    contends = [device.memory >= 0 and plan.memories[device.memory].shared for device in plan.devices]
    pool_of = [d.memory if ok and queues[d.memory] > 1 else -1 for d, ok in zip(plan.devices, contends, strict=True)]
    if all(pool < 0 for pool in pool_of):
        return
    peak = [min(d.port_bytes_per_s, plan.memories[d.memory].bandwidth_bytes_per_s) for d in plan.devices]
    unit = plan.device[order]
    overhead = np.zeros(len(plan), dtype=np.int64) if plan.overhead_ps is None else plan.overhead_ps[order]
    work = plan.duration_ps[order] - overhead
    traffic = plan.dram_bytes[order]
    pool = np.append(np.array(pool_of, dtype=np.int64), -1)[unit]
    pool[(work == 0) | (traffic == 0) | [route == COLLECTIVE for route in program.route[: program.tasks]]] = -1
    demand = np.minimum(traffic * PS_PER_S / np.maximum(work, 1), np.append(peak, 0.0)[unit])
    program.pool, program.overhead_ps, program.demand = pool.tolist(), overhead.tolist(), demand.tolist()
