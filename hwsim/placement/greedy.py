"""Tasks in the order of the graph, each where it ends first."""

from __future__ import annotations

from typing import ClassVar

from hwsim.placement.heuristic import Heuristic
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.schedule import Schedule
from hwsim.placement.views import Folded

__all__ = ["Greedy"]


class Greedy(Heuristic):
    """List scheduling in topological order, behind all that the device has; linear, so for the largest graphs."""

    name: ClassVar[str] = "greedy"
    title: ClassVar[str] = "in the order of the graph, where it ends earliest; nothing is put into gaps"
    source: ClassVar[str] = "Graham, SIAM J. Applied Mathematics 17(2), 1969"

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        schedule = Schedule(problem, folded, insertion=False)
        for task in folded.order:
            schedule.place(task, schedule.best(task))
        return schedule.placement(self.name)


POLICIES.add(Greedy.name, Greedy())
