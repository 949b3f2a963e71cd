"""Heterogeneous earliest finish time: the task with the longest way to go first, where it ends first."""

from __future__ import annotations

from typing import ClassVar

from hwsim.placement.heuristic import Heuristic
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.ranks import upward_rank
from hwsim.placement.schedule import Schedule
from hwsim.placement.views import Folded

__all__ = ["Heft", "by_upward_rank"]


def by_upward_rank(problem: Problem, folded: Folded) -> list[int]:
    """Tasks by decreasing upward rank; ties topologically, then by index."""
    rank = upward_rank(problem, folded)
    return sorted(folded.order, key=lambda task: (-rank[task], folded.rank[task]))


class Heft(Heuristic):
    """Tasks by upward rank, each on the device where it ends earliest, gaps between other tasks included."""

    name: ClassVar[str] = "heft"
    title: ClassVar[str] = "the longest way to the end first, where it ends earliest"
    source: ClassVar[str] = "Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002"

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        schedule = Schedule(problem, folded)
        for task in by_upward_rank(problem, folded):
            schedule.place(task, schedule.best(task))
        return schedule.placement(self.name)


POLICIES.add(Heft.name, Heft())
