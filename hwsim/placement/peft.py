"""Predict earliest finish time: where a task ends early and what follows can end early too."""

from __future__ import annotations

from typing import ClassVar

from hwsim.placement.heuristic import Heuristic
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.ranks import optimistic_costs
from hwsim.placement.schedule import Schedule
from hwsim.placement.views import Folded

__all__ = ["Peft"]


class Peft(Heuristic):
    """Ready tasks by their mean optimistic cost, each where its end plus its optimistic cost is least."""

    name: ClassVar[str] = "peft"
    title: ClassVar[str] = "where its end, plus the shortest way on from there, is earliest"
    source: ClassVar[str] = "Arabnejad, Barbosa, IEEE TPDS 25(3), 2014"

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        schedule = Schedule(problem, folded)
        costs = optimistic_costs(problem, folded)
        onward = costs.tolist()
        for task in folded.ready_first(costs.mean(axis=1).tolist()):
            row = onward[task]
            schedule.place(task, min(schedule.offers(task), key=lambda offer: offer.end_s + row[offer.device]))
        return schedule.placement(self.name)


POLICIES.add(Peft.name, Peft())
