"""The default: one device -> single; several -> the plan with the shortest expected makespan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from hwsim.placement.cpop import Cpop
from hwsim.placement.greedy import Greedy
from hwsim.placement.heft import Heft
from hwsim.placement.heuristic import Heuristic
from hwsim.placement.lookahead import Lookahead
from hwsim.placement.options import check_options
from hwsim.placement.peft import Peft
from hwsim.placement.problem import POLICIES, Placement, Policy, Problem
from hwsim.placement.providers import Providers
from hwsim.placement.single import on_one
from hwsim.placement.views import fold

__all__ = ["Auto"]

_LARGE_TASKS = 5_000
"""Above it only heuristics linear in the number of tasks are tried."""
_LOOKAHEAD_TRIALS = 50_000
"""Above that many (edge, device, device) trials, a quarter of a second's worth, lookahead is left out."""
_GAIN = 1e-9
"""Plans that differ by less are alike; the simpler one is kept."""


class Auto(Policy):
    """The shortest plan among everything on one device, each in turn, and the heuristics; the simplest of equals.

    The placement's ``policy`` names who made it: ``auto:heft``. Best of four heuristics is on average 5.5 % above the
    optimum on 23 task graphs whose optimum is known, heft alone 11 %.
    """

    name: ClassVar[str] = "auto"
    title: ClassVar[str] = "one device: single; several: the best planned makespan of single and the heuristics"

    def place(self, problem: Problem) -> Placement:
        """The placement.

        Raises:
            PlacementError: some task has no device.
            InputError: options, of which it reads none.
        """
        check_options(problem, self)
        problem.check()
        if len(problem.devices) == 1:
            return on_one(problem, 0, "single")
        best: Placement | None = None
        for plan in _plans(problem):
            if best is None or plan.planned_s < best.planned_s * (1.0 - _GAIN):
                best = plan
        assert best is not None, "the heuristics place whatever some device can run"
        return replace(best, policy=f"{self.name}:{best.policy}")


def _plans(problem: Problem) -> Iterator[Placement]:
    """The plans to choose from, simple ones first."""
    total = problem.time_s.sum(axis=1)
    if np.isfinite(total).any():
        yield on_one(problem, int(total.argmin()), "single")
    folded = fold(problem)
    for heuristic in _heuristics(problem):
        yield heuristic.plan(problem, folded)


def _heuristics(problem: Problem) -> list[Heuristic]:
    chosen: list[Heuristic] = [Providers(), Greedy()]
    if len(problem) <= _LARGE_TASKS:
        chosen += [Heft(), Cpop(), Peft()]
        if len(problem.edges) * len(problem.devices) ** 2 <= _LOOKAHEAD_TRIALS:
            chosen.append(Lookahead())
    return chosen


POLICIES.add(Auto.name, Auto())
