"""A problem without its views: tasks that take no time anywhere follow the task whose data they show."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hwsim.placement.problem import Problem

__all__ = ["Folded", "fold"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folded:
    """The tasks that take time, and what crosses between them once views are looked through.

    A view lies where its first input lies, as in the engine, so an edge from a view is an edge from the task that made
    its data. A view that shows nothing made here (a reshaped input) goes with the first task that reads it.

    Attributes:
        order: Tasks that take time, topologically, ties by index.
        rank: Place of every task, views included, in the topological order.
        root: Of each task: itself, or the task or the input view whose data the view shows.
        incoming: (root, bytes) of the data each task reads, one entry a root, the largest if there are several.
        outgoing: (reader, bytes), the same edges from the other end.
        after: Tasks that must end before a task starts, without any data crossing.
        waits: Of each view: the tasks that end before it is there.
    """

    order: list[int]
    rank: list[int]
    root: list[int]
    incoming: list[list[tuple[int, float]]]
    outgoing: list[list[tuple[int, float]]]
    after: list[list[int]]
    waits: dict[int, list[int]]

    def before(self, task: int) -> list[int]:
        """Tasks, not views, that must end before a task starts."""
        return [source for source, _ in self.incoming[task] if source not in self.waits] + self.after[task]

    def ready_first(self, priority: Sequence[float]) -> Iterator[int]:
        """All tasks, producers first, of those that could be next the one with the highest priority; ties by rank."""
        producers = {task: self.before(task) for task in self.order}
        pending = {task: len(sources) for task, sources in producers.items()}
        readers: dict[int, list[int]] = {task: [] for task in self.order}
        for task, sources in producers.items():
            for source in sources:
                readers[source].append(task)
        ready = [(-priority[task], self.rank[task], task) for task, count in pending.items() if not count]
        heapq.heapify(ready)
        while ready:
            _, _, task = heapq.heappop(ready)
            yield task
            for reader in readers[task]:
                pending[reader] -= 1
                if not pending[reader]:
                    heapq.heappush(ready, (-priority[reader], self.rank[reader], reader))


def fold(problem: Problem) -> Folded:
    """The problem without its views."""
    tasks = len(problem)
    view = (problem.time_s == 0.0).all(axis=0).tolist()
    order = _topological(problem)
    root, rank = list(range(tasks)), [0] * tasks
    incoming: list[list[tuple[int, float]]] = [[] for _ in range(tasks)]
    outgoing: list[list[tuple[int, float]]] = [[] for _ in range(tasks)]
    after: list[list[int]] = [[] for _ in range(tasks)]
    waits: dict[int, list[int]] = {}
    sources, size_bytes = problem.edges[:, 0].tolist(), problem.edge_bytes.tolist()
    for place, task in enumerate(order):
        rank[task] = place
        data: dict[int, float] = {}
        extra: list[int] = []
        for edge in problem.incoming[task]:
            source = sources[edge]
            origin = root[source]
            data[origin] = max(data.get(origin, 0.0), size_bytes[edge])
            if source in waits:
                extra += waits[source]
        if view[task]:
            waits[task] = list(dict.fromkeys([*(origin for origin in data if not view[origin]), *extra]))
            root[task] = next(iter(data), task)
            continue
        incoming[task] = list(data.items())
        if extra:
            after[task] = [source for source in dict.fromkeys(extra) if source not in data]
        for origin, size in incoming[task]:
            outgoing[origin].append((task, size))
    timed = [task for task in order if not view[task]]
    return Folded(order=timed, rank=rank, root=root, incoming=incoming, outgoing=outgoing, after=after, waits=waits)


def _topological(problem: Problem) -> list[int]:
    """Tasks, producers first, the lowest index first among those that could be next."""
    tasks = len(problem)
    if bool(np.all(problem.edges[:, 0] < problem.edges[:, 1])):
        return list(range(tasks))
    pending = np.bincount(problem.edges[:, 1], minlength=tasks).tolist()
    targets = problem.edges[:, 1].tolist()
    ready = [task for task in range(tasks) if not pending[task]]
    order = []
    while ready:
        task = heapq.heappop(ready)
        order.append(task)
        for edge in problem.outgoing[task]:
            pending[targets[edge]] -= 1
            if not pending[targets[edge]]:
                heapq.heappush(ready, targets[edge])
    assert len(order) == tasks, "a graph refuses cycles before it is placed"
    return order
