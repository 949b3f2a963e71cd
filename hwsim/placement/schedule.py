"""A schedule under construction: who runs what from when, and where the next task would end earliest."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.placement.problem import Placement, Problem
from hwsim.placement.views import Folded

__all__ = ["Offer", "Schedule", "in_order"]

_NOWHERE = -1
_INFINITY = math.inf


class Offer(NamedTuple):
    """What one device offers a task: its earliest start and end there, contention apart."""

    device: int
    start_s: float
    end_s: float


class _Undo(NamedTuple):
    """What :meth:`Schedule.place` changed."""

    task: int
    device: int
    gap: int
    pieces: int
    begin_s: float
    end_s: float
    pinned: list[int]


class Schedule:
    """Tasks placed so far; only tasks that take time are placed, views follow them.

    With ``insertion`` a task may go into an idle gap between two others (Topcuoglu, Hariri, Wu, TPDS 13(3), 2002,
    section 4.2); without, behind all others on its device, which is linear in the number of tasks.
    """

    def __init__(self, problem: Problem, folded: Folded, *, insertion: bool = True) -> None:
        self.folded = folded
        self.finish_s = [0.0] * len(problem)
        self.start_s = [0.0] * len(problem)
        self.device = [_NOWHERE] * len(problem)
        self._insertion = insertion
        self._time = problem.time_s.T.tolist()
        self._latency = problem.latency_s.tolist()
        self._pace = problem.seconds_per_byte.tolist()
        devices = len(problem.devices)
        self._gap_begin: list[list[float]] = [[0.0] for _ in range(devices)]
        self._gap_end: list[list[float]] = [[_INFINITY] for _ in range(devices)]
        self._tasks_on = [0] * devices
        self._class = _alike(problem)
        self._candidates = self._worth_a_look()

    def offers(self, task: int) -> list[Offer]:
        """The earliest end on each device that can run the task, in the order of the devices.

        Of devices that are alike and still empty only the first is asked: the others would offer the same.
        Producers that are not placed yet do not delay the task.
        """
        times = self._time[task]
        return [self.offer(task, device) for device in self._candidates if times[device] != _INFINITY]

    def offer(self, task: int, device: int) -> Offer:
        """The earliest start and end on one device."""
        ready = 0.0
        where, finish = self.device, self.finish_s
        for source, size in self.folded.incoming[task]:
            time = finish[source]
            home = where[source]
            if home not in {device, _NOWHERE}:
                time += self._latency[home][device] + size * self._pace[home][device]
            ready = max(ready, time)
        for root, size, waits in self.folded.joined[task]:
            time = max(finish[source] for source in waits)
            if where[root] not in {device, _NOWHERE}:
                time += self._latency[where[root]][device] + size * self._pace[where[root]][device]
            ready = max(ready, time)
        duration = self._time[task][device]
        start = self._slot(device, ready, duration)
        return Offer(device, start, start + duration)

    def best(self, task: int) -> Offer:
        """The offer that ends first; ties go to the first device."""
        return min(self.offers(task), key=lambda offer: offer.end_s)

    def place(self, task: int, offer: Offer) -> _Undo:
        """Accept an offer; the result is for :meth:`undo`."""
        device = offer.device
        self.device[task], self.start_s[task], self.finish_s[task] = device, offer.start_s, offer.end_s
        begins, ends = self._gap_begin[device], self._gap_end[device]
        gap = self._first_gap(device, offer.start_s)
        while offer.end_s > ends[gap]:
            gap += 1
        begin, end = begins[gap], ends[gap]
        pieces = [(a, b) for a, b in ((begin, offer.start_s), (offer.end_s, end)) if b > a]
        if not self._insertion:
            pieces = pieces[-1:]
        begins[gap : gap + 1] = [a for a, _ in pieces]
        ends[gap : gap + 1] = [b for _, b in pieces]
        read = [source for source, _ in self.folded.incoming[task]]
        read += [root for root, _, _ in self.folded.joined[task]]
        pinned = [source for source in read if self.device[source] == _NOWHERE and source in self.folded.waits]
        for source in pinned:
            self.device[source] = device
        self._tasks_on[device] += 1
        if self._tasks_on[device] == 1:
            self._candidates = self._worth_a_look()
        return _Undo(task, device, gap, len(pieces), begin, end, pinned)

    def undo(self, done: _Undo) -> None:
        """Take back the last :meth:`place` that was not taken back yet."""
        begins, ends = self._gap_begin[done.device], self._gap_end[done.device]
        begins[done.gap : done.gap + done.pieces] = [done.begin_s]
        ends[done.gap : done.gap + done.pieces] = [done.end_s]
        for task in (done.task, *done.pinned):
            self.device[task], self.finish_s[task] = _NOWHERE, 0.0
        self._tasks_on[done.device] -= 1
        if not self._tasks_on[done.device]:
            self._candidates = self._worth_a_look()

    def placement(self, policy: str) -> Placement:
        """The finished schedule: each device takes its tasks in the order of their planned starts."""
        folded = self.folded
        for view, waits in folded.waits.items():
            self.device[view] = max(self.device[folded.root[view]], 0)
            self.start_s[view] = max((self.finish_s[task] for task in waits), default=0.0)
        order = np.lexsort((np.array(folded.rank), np.array(self.start_s)))
        priority = np.empty(len(order), dtype=np.int64)
        priority[order] = np.arange(len(order))
        return Placement(
            policy=policy,
            device=np.array(self.device, dtype=np.int64),
            priority=priority,
            planned_s=max(self.finish_s, default=0.0),
        )

    def _first_gap(self, device: int, ready: float) -> int:
        """Index of the first gap that ends at or after a time."""
        ends = self._gap_end[device]
        return bisect_left(ends, ready) if len(ends) > 1 else 0

    def _slot(self, device: int, ready: float, duration: float) -> float:
        """Start of the first gap that holds a task of that duration from ``ready`` on."""
        begins, ends = self._gap_begin[device], self._gap_end[device]
        for gap in range(self._first_gap(device, ready), len(ends)):
            start = max(begins[gap], ready)
            if start + duration <= ends[gap]:
                return start
        raise AssertionError("the last gap never ends")

    def _worth_a_look(self) -> list[int]:
        """Devices in use, and of each class of devices alike the first that is not."""
        fresh: set[int] = set()
        found = []
        for device, (kind, used) in enumerate(zip(self._class, self._tasks_on, strict=True)):
            if used or kind not in fresh:
                found.append(device)
            if not used:
                fresh.add(kind)
        return found


def _alike(problem: Problem) -> list[int]:
    """Of each device, the first one that it could change places with: same times, same links to all others."""
    devices = len(problem.devices)
    links = [problem.latency_s, problem.seconds_per_byte]
    found = list(range(devices))
    for b in range(devices):
        for a in range(b):
            if found[a] == a and _interchangeable(links, a, b) and np.array_equal(problem.time_s[a], problem.time_s[b]):
                found[b] = a
                break
    return found


def _interchangeable(links: Sequence[NDArray[np.float64]], a: int, b: int) -> bool:
    """Whether exchanging two devices leaves every link as it was."""
    swap = np.arange(len(links[0]))
    swap[[a, b]] = b, a
    return all(np.array_equal(link, link[np.ix_(swap, swap)]) for link in links)


def in_order(problem: Problem, folded: Folded, device: Sequence[int], policy: str) -> Placement:
    """Devices already chosen: each task as soon as its data is there and its device has done the tasks before it.

    Args:
        problem: what is placed.
        folded: the same without views.
        device: of each task; those of views are not looked at.
        policy: name of who chose.
    """
    schedule = Schedule(problem, folded, insertion=False)
    for task in folded.order:
        schedule.place(task, schedule.offer(task, device[task]))
    return schedule.placement(policy)
