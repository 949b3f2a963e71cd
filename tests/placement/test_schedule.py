"""A schedule under construction: gaps, what can be taken back, and which devices need not be asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwsim.placement.problem import Problem
from hwsim.placement.schedule import Offer, Schedule
from hwsim.placement.views import fold

Make = Callable[..., Problem]


def schedule_of(problem: Problem, *, insertion: bool = True) -> Schedule:
    return Schedule(problem, fold(problem), insertion=insertion)


def test_the_first_gap_that_holds_a_task_takes_it(make_problem: Make) -> None:
    """Busy from 0 to 2, 5 to 6 and 10 to 11: 3 s fit from 2 on, 4 s from 6 on, 5 s from 11 on."""
    schedule = schedule_of(make_problem([[2, 1, 1, 3, 4, 5]]))
    for task, start in ((0, 0), (1, 5), (2, 10)):
        schedule.place(task, Offer(0, start, start + schedule.offer(task, 0).end_s - schedule.offer(task, 0).start_s))
    assert [schedule.offer(task, 0).start_s for task in (3, 4, 5)] == [2, 6, 11]


def test_a_gap_is_used_from_when_the_data_is_there(make_problem: Make) -> None:
    """Task 0 ends at 3 on d1 and its byte arrives at 4; the gap until 6 has room for task 2 (2 s) from then on."""
    schedule = schedule_of(make_problem([[9, 1, 2, 3], [3, 9, 9, 9]], [(0, 2, 1), (0, 3, 1)]))
    schedule.place(0, schedule.offer(0, 1))
    schedule.place(1, Offer(0, 6, 7))
    assert schedule.offer(2, 0) == Offer(0, 4, 6)
    assert schedule.offer(3, 0) == Offer(0, 7, 10)


def test_a_task_may_begin_where_one_of_no_length_is(make_problem: Make) -> None:
    """Task 0 takes no time on d0, at 3; tasks of 2 s then 3 s fit behind and before it."""
    schedule = schedule_of(make_problem([[0, 2, 3], [1, 1, 1]]))
    schedule.place(0, Offer(0, 3, 3))
    schedule.place(1, Offer(0, 3, 5))
    assert schedule.offer(2, 0) == Offer(0, 0, 3)
    schedule.place(2, schedule.offer(2, 0))
    assert schedule.offer(2, 0).start_s == 5


def test_without_insertion_gaps_stay_empty(make_problem: Make) -> None:
    schedule = schedule_of(make_problem([[2, 1]]), insertion=False)
    schedule.place(0, Offer(0, 5, 7))
    assert schedule.offer(1, 0).start_s == 7


def test_of_empty_devices_that_are_alike_only_the_first_is_asked(make_problem: Make) -> None:
    """d0 and d1 are alike, d2 is slower; once d0 is busy, d1 is asked too."""
    schedule = schedule_of(make_problem([[1, 1], [1, 1], [2, 2]]))
    assert [offer.device for offer in schedule.offers(0)] == [0, 2]
    schedule.place(0, schedule.best(0))
    assert [offer.device for offer in schedule.offers(1)] == [0, 1, 2]


def test_devices_with_other_links_are_not_alike(make_problem: Make) -> None:
    link = [[0, 1, 1], [1, 0, 5], [1, 5, 0]]
    assert [o.device for o in schedule_of(make_problem([[1], [1], [1]], link=link)).offers(0)] == [0, 1]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_taken_back_leaves_no_trace(seed: int, make_problem: Make) -> None:
    """Twelve tasks are placed behind random idle times, earlier gaps are filled, then all is taken back in turn."""
    rng = np.random.default_rng(seed)
    schedule = schedule_of(make_problem(rng.integers(1, 5, (2, 13)), [(0, 5, 1), (3, 12, 2)]))
    seen, done = [], []
    for task in range(12):
        device = int(rng.integers(0, 2))
        seen.append((schedule.offers(12), list(schedule.finish_s), list(schedule.device)))
        offer = schedule.offer(task, device)
        idle = int(rng.integers(0, 6)) if offer.start_s >= schedule.finish_s[task - 1] else 0
        later = Offer(device, offer.start_s + idle, offer.end_s + idle)
        done.append(schedule.place(task, later if is_free(schedule, later, task) else offer))
    while done:
        schedule.undo(done.pop())
        assert (schedule.offers(12), list(schedule.finish_s), list(schedule.device)) == seen.pop()


def is_free(schedule: Schedule, offer: Offer, placed: int) -> bool:
    """Whether none of the first tasks runs on the device at that time."""
    others = [task for task in range(placed) if schedule.device[task] == offer.device]
    return all(offer.end_s <= schedule.start_s[t] or offer.start_s >= schedule.finish_s[t] for t in others)


def test_priorities_follow_planned_starts(make_problem: Make) -> None:
    schedule = schedule_of(make_problem([[1, 1, 1]]))
    for task, start in ((0, 4), (1, 0), (2, 2)):
        schedule.place(task, Offer(0, start, start + 1))
    placement = schedule.placement("by hand")
    assert placement.priority.tolist() == [2, 0, 1]
    assert placement.planned_s == 5
    assert placement.device.dtype == placement.priority.dtype == np.int64
