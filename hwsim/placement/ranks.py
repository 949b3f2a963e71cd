"""What list heuristics order tasks by: upward and downward rank, and the optimistic cost table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwsim.placement.problem import Problem
from hwsim.placement.views import Folded

__all__ = ["downward_rank", "mean_time", "mean_transfer", "optimistic_costs", "upward_rank"]


def mean_time(problem: Problem) -> list[float]:
    """Mean time of each task over the devices that can run it."""
    able = np.isfinite(problem.time_s)
    total = np.where(able, problem.time_s, 0.0).sum(axis=0)
    means: list[float] = (total / np.maximum(able.sum(axis=0), 1)).tolist()
    return means


def mean_transfer(problem: Problem) -> tuple[float, float]:
    """(latency in s, s/byte) of a transfer, the mean over all pairs of different devices; nothing with one device."""
    devices = len(problem.devices)
    pairs = devices * (devices - 1)
    if not pairs:
        return 0.0, 0.0
    return float(problem.latency_s.sum()) / pairs, float(problem.seconds_per_byte.sum()) / pairs


def _edges(folded: Folded, task: int) -> list[tuple[int, float]]:
    """(producer, bytes) of what a task reads or waits for."""
    joined = folded.joined[task]
    if not joined:
        return folded.incoming[task]
    return [*folded.incoming[task], *((source, size) for _, size, waits in joined for source in waits)]


def upward_rank(problem: Problem, folded: Folded) -> list[float]:
    """Length of the longest path from each task to the end, itself included, at mean costs.

    rank_u(i) = w_i + max over successors j of (c_ij + rank_u(j)): Topcuoglu, Hariri, Wu, TPDS 13(3), 2002, section 4.1.
    """
    rank = mean_time(problem)
    latency, pace = mean_transfer(problem)
    onward = [0.0] * len(rank)
    for task in reversed(folded.order):
        rank[task] += onward[task]
        for source, size in _edges(folded, task):
            onward[source] = max(onward[source], latency + size * pace + rank[task])
    return rank


def downward_rank(problem: Problem, folded: Folded) -> list[float]:
    """Length of the longest path from the beginning to each task, itself excluded, at mean costs.

    rank_d(i) = max over predecessors j of (rank_d(j) + w_j + c_ji): Topcuoglu, Hariri, Wu, TPDS 13(3), 2002,
    section 4.1.
    """
    time = mean_time(problem)
    latency, pace = mean_transfer(problem)
    rank = [0.0] * len(time)
    for task in folded.order:
        for source, size in _edges(folded, task):
            rank[task] = max(rank[task], rank[source] + time[source] + (latency + size * pace))
    return rank


def optimistic_costs(problem: Problem, folded: Folded) -> NDArray[np.float64]:
    """Longest of the shortest ways to the end after each task, were all devices free, (tasks, devices).

    OCT(i, p) = max over successors j of min over devices q of (OCT(j, q) + w(j, q) + c_ij if p differs from q):
    Arabnejad and Barbosa, TPDS 25(3), 2014, optimistic cost table.
    """
    time = np.ascontiguousarray(problem.time_s.T)
    latency, pace = mean_transfer(problem)
    table = np.zeros_like(time)
    for task in reversed(folded.order):
        onward = table[task] + time[task]
        shortest = float(onward.min())
        for source, size in _edges(folded, task):
            row = table[source]
            np.maximum(row, np.minimum(onward, shortest + (latency + size * pace)), out=row)
    return table
