"""The default: one device -> single; several -> the plan with the shortest expected makespan."""

from __future__ import annotations

from typing import ClassVar

from hwsim.placement.problem import POLICIES, Placement, Policy, Problem
from hwsim.placement.single import on_one

__all__ = ["Auto"]


class Auto(Policy):
    """Whatever is best among the heuristics."""

    name: ClassVar[str] = "auto"
    title: ClassVar[str] = "one device: single; several: the best planned makespan of the heuristics"

    def place(self, problem: Problem) -> Placement:
        """The placement; raises PlacementError when some task has no device."""
        if len(problem.devices) == 1:
            problem.check()
            return on_one(problem, 0, "single")
        return POLICIES["single"].place(problem)


POLICIES.add(Auto.name, Auto())
