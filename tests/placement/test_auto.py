"""The policy `auto`: the shortest plan there is, named after who made it, fast on large graphs."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from hwsim.errors import InputError, PlacementError
from hwsim.placement.problem import POLICIES, Problem

INF = float("inf")
AUTO = POLICIES["auto"]
Make = Callable[..., Problem]


def layered(make_problem: Make, tasks: int, devices: int, *, equal: bool = False) -> Problem:
    """A random graph: each task reads two of the eight before it."""
    rng = np.random.default_rng(7)
    times = rng.uniform(1e-5, 1e-3, tasks) * (np.ones((devices, 1)) if equal else rng.uniform(0.5, 2, (devices, tasks)))
    edges = [(max(0, i - int(back)), i, 1e5) for i in range(1, tasks) for back in sorted(set(rng.integers(1, 9, 2)))]
    return make_problem(times, edges, link=(1 - np.eye(devices)) * 1e-10, latency=5e-6)


def seconds(policy: str, problem: Problem) -> float:
    """Processor time of placing it, the better of two."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        POLICIES[policy].place(problem)
        taken.append(time.process_time() - start)
    return min(taken)


def test_one_device_runs_everything(make_problem: Make) -> None:
    placement = AUTO.place(make_problem([[1, 2]]))
    assert (placement.policy, placement.planned_s) == ("single", 3)


def test_the_shortest_plan_wins_and_is_named(topcuoglu: Problem, arabnejad: Problem) -> None:
    """76 (lookahead) against 80, 86, 85; 122 (PEFT) against 133, 167, 127."""
    found = [AUTO.place(problem) for problem in (topcuoglu, arabnejad)]
    assert [(placement.policy, placement.planned_s) for placement in found] == [
        ("auto:lookahead", 76),
        ("auto:peft", 122),
    ]


def test_no_plan_of_a_policy_without_options_is_shorter(topcuoglu: Problem) -> None:
    best = AUTO.place(topcuoglu).planned_s
    assert best <= min(POLICIES[name].place(topcuoglu).planned_s for name in POLICIES)


def test_where_dividing_gains_nothing_one_device_keeps_the_work(make_problem: Make) -> None:
    placement = AUTO.place(make_problem([[1, 1], [1, 1]], [(0, 1, 5)]))
    assert placement.policy == "auto:single"
    assert placement.device.tolist() == [0, 0]


def test_where_no_device_can_run_everything_the_work_is_divided(make_problem: Make) -> None:
    placement = AUTO.place(make_problem([[1, INF], [INF, 6]], [(0, 1, 5)]))
    assert placement.device.tolist() == [0, 1]
    assert placement.planned_s == 12


def test_a_task_that_nobody_can_run_is_named_even_with_one_device(make_problem: Make) -> None:
    for times in ([[1, INF]], [[1, INF], [1, INF]]):
        with pytest.raises(PlacementError, match=r"can run t1 \(op\)"):
            AUTO.place(make_problem(times))


def test_options_are_not_swallowed(make_problem: Make) -> None:
    with pytest.raises(InputError, match=r"policy 'auto' does not read 'rules' \(policy rules does\)"):
        AUTO.place(make_problem([[1], [2]], rules={}))


@pytest.mark.slow
def test_eight_equal_devices_do_not_make_a_graph_of_2000_tasks_slow(make_problem: Make) -> None:
    """0.16 s of processor time on an idle core, 0.35 s on a loaded one."""
    assert seconds("auto", layered(make_problem, 2000, 8, equal=True)) < 1.0


def test_heft_places_1000_tasks_on_8_devices_in_a_third_of_a_second(make_problem: Make) -> None:
    """0.02 s of processor time on an idle core."""
    assert seconds("heft", layered(make_problem, 1000, 8)) < 0.3


def test_above_5000_tasks_only_linear_heuristics_are_tried(make_problem: Make) -> None:
    problem = layered(make_problem, 6000, 3)
    assert AUTO.place(problem).policy == "auto:greedy"
    assert seconds("auto", problem) < 1.0


def test_100000_tasks_on_one_device_are_placed_at_once(make_problem: Make) -> None:
    assert seconds("auto", make_problem(np.ones((1, 100_000)))) < 0.1
