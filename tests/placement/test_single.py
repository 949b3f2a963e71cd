"""The policy `single`: everything on one device, or a message that says what it lacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hwsim.errors import InputError, PlacementError, UnknownNameError
from hwsim.placement.problem import POLICIES, Problem

INF = float("inf")
SINGLE = POLICIES["single"]
Make = Callable[..., Problem]


def test_the_device_named_runs_everything(make_problem: Make) -> None:
    placement = SINGLE.place(make_problem([[1, 1], [5, 6]], device="d1"))
    assert placement.device.tolist() == [1, 1]
    assert placement.priority.tolist() == [0, 1]
    assert placement.planned_s == 11


def test_without_a_name_the_fastest_that_can_run_everything_does(make_problem: Make) -> None:
    placement = SINGLE.place(make_problem([[1, INF], [5, 6], [5, 5]]))
    assert placement.device.tolist() == [2, 2]
    assert placement.planned_s == 10


def test_of_equal_devices_the_first_runs_everything(make_problem: Make) -> None:
    assert SINGLE.place(make_problem([[2, 1], [1, 2]])).device.tolist() == [0, 0]


def test_what_the_device_lacks_is_said_with_who_could(make_problem: Make) -> None:
    problem = make_problem([[1, INF], [5, 6]], operators=("conv2d", "softmax"), device="d0")
    with pytest.raises(PlacementError, match=r"d0 cannot run softmax \(t1\); d1 could; use policy"):
        SINGLE.place(problem)


def test_where_every_device_lacks_something_all_are_listed(make_problem: Make) -> None:
    problem = make_problem([[1, INF], [INF, 6]], operators=("conv2d", "softmax"))
    with pytest.raises(PlacementError, match=r"d0 cannot run softmax .*; d1 cannot run conv2d"):
        SINGLE.place(problem)


def test_a_task_that_nobody_can_run_is_named(make_problem: Make) -> None:
    with pytest.raises(PlacementError, match=r"no device of d0, d1 can run t1 \(op\)"):
        SINGLE.place(make_problem([[1, INF], [1, INF]], device="d0"))


def test_an_unknown_device_gets_the_nearest_name(make_problem: Make) -> None:
    with pytest.raises(UnknownNameError, match="named 'npuu'; did you mean 'npu'"):
        SINGLE.place(make_problem([[1], [1]], devices=("npu", "gpu"), device="npuu"))


def test_an_unknown_option_is_refused(make_problem: Make) -> None:
    with pytest.raises(InputError, match=r"does not read 'devise'; did you mean 'device'\?; it reads device"):
        SINGLE.place(make_problem([[1]], devise="d0"))
