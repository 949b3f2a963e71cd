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
        joined: (root, bytes, tasks) of the data each task reads through a view of several tasks: it lies where the
            root lies and crosses when all those tasks have ended.
        readers: Tasks that read the data of each task.
        waits: Of each view: the tasks that end before it is there.
    """

    order: list[int]
    rank: list[int]
    root: list[int]
    incoming: list[list[tuple[int, float]]]
    joined: list[list[tuple[int, float, list[int]]]]
    readers: list[list[int]]
    waits: dict[int, list[int]]

    def before(self, task: int) -> list[int]:
        """Tasks, not views, that must end before a task starts."""
        sources = [source for source, _ in self.incoming[task] if source not in self.waits]
        return list(dict.fromkeys([*sources, *(source for _, _, waits in self.joined[task] for source in waits)]))

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
    joined: list[list[tuple[int, float, list[int]]]] = [[] for _ in range(tasks)]
    readers: list[list[int]] = [[] for _ in range(tasks)]
    waits: dict[int, list[int]] = {}
    sources, size_bytes = problem.edges[:, 0].tolist(), problem.edge_bytes.tolist()
    for place, task in enumerate(order):
        rank[task] = place
        data: dict[int, float] = {}
        for edge in problem.incoming[task]:
            source, size = sources[edge], size_bytes[edge]
            origin = root[source]
            if source in waits and waits[source] not in ([origin], []):
                joined[task].append((origin, size, waits[source]))
            else:
                data[origin] = max(data.get(origin, 0.0), size)
        if view[task]:
            ends = [origin for origin in data if not view[origin]]
            waits[task] = list(dict.fromkeys([*ends, *(end for *_, several in joined[task] for end in several)]))
            root[task] = next((root[sources[edge]] for edge in problem.incoming[task]), task)
            continue
        incoming[task] = list(data.items())
        for origin in dict.fromkeys([*data, *(origin for origin, *_ in joined[task])]):
            readers[origin].append(task)
    timed = [task for task in order if not view[task]]
    return Folded(order=timed, rank=rank, root=root, incoming=incoming, joined=joined, readers=readers, waits=waits)


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
