"""Critical path on a processor: the longest path stays on the device that runs it fastest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from hwsim.placement.heuristic import Heuristic
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.ranks import downward_rank, upward_rank
from hwsim.placement.schedule import Schedule
from hwsim.placement.views import Folded

__all__ = ["Cpop", "critical_tasks"]

_ROUNDING = 1e-9
"""Priorities are sums of floats: those that differ by less are equal."""


def critical_tasks(folded: Folded, priority: Sequence[float]) -> list[int]:
    """Tasks on a longest path: those whose priority, rank_u + rank_d, equals the greatest there is.

    Where several paths are longest all count; the paper follows one of them.
    """
    longest = max((priority[task] for task in folded.order), default=0.0)
    return [task for task in folded.order if priority[task] >= longest * (1.0 - _ROUNDING)]


class Cpop(Heuristic):
    """Ready tasks by upward plus downward rank; those of the critical path on one device, others where they end first.

    A critical task that this device cannot run goes where it ends first.
    """

    name: ClassVar[str] = "cpop"
    title: ClassVar[str] = "the critical path on the device that runs it fastest, the rest where it ends earliest"
    source: ClassVar[str] = "Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002"

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        schedule = Schedule(problem, folded)
        up, down = upward_rank(problem, folded), downward_rank(problem, folded)
        priority = [u + d for u, d in zip(up, down, strict=True)]
        path = critical_tasks(folded, priority)
        able = np.isfinite(problem.time_s[:, path])
        total = np.where(able, problem.time_s[:, path], 0.0).sum(axis=1)
        device = min(range(len(problem.devices)), key=lambda d: (-int(able[d].sum()), float(total[d]), d))
        critical = set(path)
        for task in folded.ready_first(priority):
            fixed = task in critical and bool(np.isfinite(problem.time_s[device, task]))
            schedule.place(task, schedule.offer(task, device) if fixed else schedule.best(task))
        return schedule.placement(self.name)


POLICIES.add(Cpop.name, Cpop())
