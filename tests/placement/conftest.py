"""Small placement problems, a checker that replays a plan on its own, and the two published examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hwsim.placement.problem import Placement, Problem

INF = float("inf")

# Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002, its example: times on P1, P2, P3, and what edges cost between two.
TOPCUOGLU_TIMES = (
    (14, 13, 11, 13, 12, 13, 7, 5, 18, 21),
    (16, 19, 13, 8, 13, 16, 15, 11, 12, 7),
    (9, 18, 19, 17, 10, 9, 11, 14, 20, 16),
)
TOPCUOGLU_EDGES = (
    *((1, 2, 18), (1, 3, 12), (1, 4, 9), (1, 5, 11), (1, 6, 14), (2, 8, 19), (2, 9, 16), (3, 7, 23)),
    *((4, 8, 27), (4, 9, 23), (5, 9, 13), (6, 8, 15), (7, 10, 17), (8, 10, 11), (9, 10, 13)),
)
# Arabnejad, Barbosa, IEEE TPDS 25(3), 2014, its example, likewise.
ARABNEJAD_TIMES = (
    (22, 22, 32, 7, 29, 26, 14, 29, 15, 13),
    (21, 18, 27, 10, 27, 17, 25, 23, 21, 16),
    (36, 18, 43, 4, 35, 24, 30, 36, 8, 33),
)
ARABNEJAD_EDGES = (
    *((1, 2, 17), (1, 3, 31), (1, 4, 29), (1, 5, 13), (1, 6, 7), (2, 8, 3), (2, 9, 30), (3, 7, 16)),
    *((4, 8, 11), (4, 9, 7), (5, 9, 57), (6, 8, 5), (7, 10, 9), (8, 10, 42), (9, 10, 7)),
)


def build(
    times: Sequence[Sequence[float]],
    edges: Sequence[tuple[int, int, float]] = (),
    *,
    devices: Sequence[str] = (),
    kinds: Sequence[str] = (),
    operators: Sequence[str] = (),
    tags: Sequence[tuple[str, ...]] = (),
    link: Sequence[Sequence[float]] | None = None,
    latency: float = 0.0,
    **options: object,
) -> Problem:
    """A problem; ``times`` by device, ``edges`` as (producer, consumer, bytes); a byte takes ``link`` seconds, or 1."""
    time_s = np.array(times, dtype=np.float64)
    count, tasks = time_s.shape
    apart = 1.0 - np.eye(count)
    ordered = sorted(edges, key=lambda edge: edge[1])
    return Problem(
        devices=tuple(devices) or tuple(f"d{i}" for i in range(count)),
        kinds=tuple(kinds) or ("simt_gpu",) * count,
        time_s=time_s,
        energy_j=np.zeros_like(time_s),
        operators=list(operators) or ["op"] * tasks,
        names=[f"t{i}" for i in range(tasks)],
        tags=tags,
        edges=np.array([edge[:2] for edge in ordered], dtype=np.int64).reshape(-1, 2),
        edge_bytes=np.array([edge[2] for edge in ordered], dtype=np.float64),
        latency_s=apart * latency,
        seconds_per_byte=apart if link is None else np.array(link, dtype=np.float64),
        options=options,
    )


def replay(problem: Problem, placement: Placement) -> float:
    """Makespan of a placement: devices take their tasks in order of priority, links are free of contention.

    Written apart from hwsim.placement, by going over all tasks until nothing changes any more. Views lie where
    their first input lies, wait for their inputs without any transfer, and occupy nothing.
    """
    tasks, view = len(problem), (problem.time_s == 0).all(axis=0)
    edges = [(int(a), int(b), float(size)) for (a, b), size in zip(problem.edges, problem.edge_bytes, strict=True)]
    first: dict[int, int] = {}
    for a, b, _ in edges:
        first.setdefault(b, a)

    def lies(task: int) -> int:
        return lies(first[task]) if view[task] and task in first else int(placement.device[task])

    turn = sorted(range(tasks), key=lambda task: int(placement.priority[task]))
    end = [0.0] * tasks
    for _ in range(tasks + 1):
        free = [0.0] * len(problem.devices)
        before = list(end)
        for task in turn:
            here = lies(task)
            start = 0.0 if view[task] else free[here]
            for a, b, size in edges:
                if b == task:
                    there = here if view[task] else lies(a)
                    moved = problem.latency_s[there, here] + size * problem.seconds_per_byte[there, here]
                    start = max(start, end[a] + (moved if there != here else 0.0))
            end[task] = start + float(problem.time_s[here, task])
            if not view[task]:
                free[here] = end[task]
        if end == before:
            break
    return max(end, default=0.0)


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    return build


@pytest.fixture
def replayed() -> Callable[[Problem, Placement], float]:
    return replay


@pytest.fixture
def topcuoglu() -> Problem:
    return build(TOPCUOGLU_TIMES, [(a - 1, b - 1, c) for a, b, c in TOPCUOGLU_EDGES])


@pytest.fixture
def arabnejad() -> Problem:
    return build(ARABNEJAD_TIMES, [(a - 1, b - 1, c) for a, b, c in ARABNEJAD_EDGES])
