"""HEFT that looks one step ahead: where the tasks that read the result can end earliest."""

from __future__ import annotations

from typing import ClassVar

from hwsim.placement.heft import by_upward_rank
from hwsim.placement.heuristic import Heuristic
from hwsim.placement.problem import POLICIES, Placement, Problem
from hwsim.placement.schedule import Offer, Schedule
from hwsim.placement.views import Folded

__all__ = ["Lookahead"]


class Lookahead(Heuristic):
    """Tasks by upward rank; each tried on every device, its readers behind it, kept where the last reader ends first.

    Readers are tried in the order of their ranks; producers of theirs that are not placed yet are left out of account.
    Ties go to the earlier end of the task itself, then to the first device.
    """

    name: ClassVar[str] = "lookahead"
    title: ClassVar[str] = "as heft, but where the tasks that read the result end earliest"
    source: ClassVar[str] = "Bittencourt, Sakellariou, Madeira, PDP 2010"

    def plan(self, problem: Problem, folded: Folded) -> Placement:
        """The placement."""
        schedule = Schedule(problem, folded)
        order = by_upward_rank(problem, folded)
        turn = {task: i for i, task in enumerate(order)}
        for task in order:
            readers = sorted(folded.readers[task], key=turn.__getitem__)
            offers = schedule.offers(task)
            chosen = min(offers, key=lambda offer: (_last_end(schedule, task, offer, readers), offer.end_s))
            schedule.place(task, chosen)
        return schedule.placement(self.name)


def _last_end(schedule: Schedule, task: int, offer: Offer, readers: list[int]) -> float:
    """When the last reader of a task would end, were that offer taken; the task's own end if nobody reads it."""
    done = [schedule.place(task, offer)]
    last = offer.end_s if not readers else 0.0
    for reader in readers:
        best = schedule.best(reader)
        last = max(last, best.end_s)
        done.append(schedule.place(reader, best))
    for step in reversed(done):
        schedule.undo(step)
    return last


POLICIES.add(Lookahead.name, Lookahead())
