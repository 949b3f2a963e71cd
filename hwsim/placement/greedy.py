"""Tasks in the order of the graph, each where it ends first."""

from __future__ import annotations

from typing import ClassVar

from hwsim.placement.options import check_options
from hwsim.placement.problem import POLICIES, Placement, Policy, Problem
from hwsim.placement.schedule import Schedule

__all__ = ["Greedy"]


class Greedy(Policy):
    """List scheduling in topological order, behind all that the device has; linear, so for the largest graphs."""

    name: ClassVar[str] = "greedy"
    title: ClassVar[str] = "in the order of the graph, where it ends earliest; nothing is put into gaps"
    source: ClassVar[str] = "Graham, SIAM J. Applied Mathematics 17(2), 1969"

    def place(self, problem: Problem) -> Placement:
        """The placement.

        Raises:
            PlacementError: some task has no device.
            InputError: options, of which it reads none.
        """
        check_options(problem, self)
        problem.check()
        schedule = Schedule(problem, insertion=False)
        for task in schedule.folded.order:
            schedule.place(task, schedule.best(task))
        return schedule.placement(self.name)


POLICIES.add(Greedy.name, Greedy())
