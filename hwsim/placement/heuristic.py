"""What list heuristics have in common: options and tasks are checked, views are folded away, then they plan."""

from __future__ import annotations

from abc import abstractmethod

from hwsim.placement.options import check_options
from hwsim.placement.problem import Placement, Policy, Problem
from hwsim.placement.views import Folded, fold

__all__ = ["Heuristic"]


class Heuristic(Policy):
    """A policy that plans the tasks that take time; views follow their data."""

    def place(self, problem: Problem) -> Placement:
        """The placement.

        Raises:
            PlacementError: some task has no device.
            InputError: options it does not read, or cannot.
            UnknownNameError: options name a role that the system lacks.
        """
        check_options(problem, self)
        problem.check()
        return self.plan(problem, fold(problem))

    @abstractmethod
    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement of a problem that was checked and folded; raises as :meth:`place`."""
