"""Every registered placement policy: what it must do with any problem. A new policy is tested without a list."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
import hwsim.placement
from hwsim.engine import phases
from hwsim.errors import InputError, PlacementError
from hwsim.placement.problem import POLICIES, Placement, Problem

INF = float("inf")
every_policy = pytest.mark.parametrize("name", list(POLICIES))


def random_problem(rng: np.random.Generator, tasks: int, devices: int, *, views: bool = True) -> Problem:
    """Whole seconds, so that sums are exact; a tenth of the tasks are views, some devices lack some tasks."""
    times = rng.integers(1, 20, (devices, tasks)).astype(np.float64)
    lacks = rng.random((devices, tasks)) < 0.15
    lacks[rng.integers(0, devices, tasks), np.arange(tasks)] = False
    times[lacks] = INF
    if views:
        times[:, rng.random(tasks) < 0.1] = 0.0
    edges = [
        (a, b) for b in range(tasks) for a in sorted(set(rng.integers(0, b, rng.integers(0, 3)).tolist() if b else []))
    ]
    link = rng.integers(0, 3, (devices, devices)).astype(np.float64)
    latency = rng.integers(0, 4, (devices, devices)).astype(np.float64)
    for table in (link, latency):
        np.fill_diagonal(table, 0.0)
    return Problem(
        devices=tuple(f"d{i}" for i in range(devices)),
        kinds=tuple("cpu" if i == 0 else "simt_gpu" for i in range(devices)),
        time_s=times,
        energy_j=np.zeros_like(times),
        operators=["op"] * tasks,
        names=[f"t{i}" for i in range(tasks)],
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2),
        edge_bytes=rng.integers(0, 15, len(edges)).astype(np.float64),
        latency_s=latency,
        seconds_per_byte=link,
    )


problems = st.builds(
    lambda seed, tasks, devices: random_problem(np.random.default_rng(seed), tasks, devices),
    st.integers(0, 2**32 - 1),
    st.integers(0, 14),
    st.integers(1, 4),
)


def storage(problem: Problem, placement: Placement) -> list[int]:
    """Device where the result of each task lies: a view's is where its first input lies."""
    where = placement.device.tolist()
    for task in np.flatnonzero((problem.time_s == 0).all(axis=0)).tolist():
        inputs = problem.incoming[task]
        if inputs:
            where[task] = where[int(problem.edges[inputs[0], 0])]
    return where


def makespan(problem: Problem, placement: Placement) -> float:
    """Replay: devices take their tasks in order of priority, links know no contention, views wait but hold nothing."""
    where = storage(problem, placement)
    view = (problem.time_s == 0).all(axis=0)
    end, free = [0.0] * len(problem), [0.0] * len(problem.devices)
    for task in np.argsort(placement.priority).tolist():
        here = where[task]
        start = 0.0 if view[task] else free[here]
        for edge in problem.incoming[task]:
            source = int(problem.edges[edge, 0])
            moved = 0.0 if view[task] else problem.transfer_s(edge, where[source], here)
            start = max(start, end[source] + moved)
        end[task] = start + float(problem.time_s[here, task])
        if not view[task]:
            free[here] = end[task]
    return max(end, default=0.0)


def placed(name: str, problem: Problem) -> Placement | None:
    """The placement; None where `single` finds no device that can run everything."""
    try:
        return POLICIES[name].place(problem)
    except PlacementError:
        assert name == "single"
        assert not np.isfinite(problem.time_s).all(axis=1).any()
        return None


@every_policy
def test_a_policy_says_what_it_does(name: str) -> None:
    policy = POLICIES[name]
    assert policy.name == name
    assert policy.title
    assert inspect.getdoc(type(policy))


@every_policy
@given(problem=problems)
@settings(max_examples=40)
def test_every_task_gets_a_device_that_can_run_it_and_a_place_in_line(name: str, problem: Problem) -> None:
    placement = placed(name, problem)
    if placement is None:
        return
    tasks = len(problem)
    assert placement.device.shape == placement.priority.shape == (tasks,)
    assert placement.device.dtype == placement.priority.dtype == np.int64
    assert np.isfinite(problem.time_s[placement.device, np.arange(tasks)]).all()
    assert sorted(placement.priority.tolist()) == list(range(tasks))
    assert placement.policy.split(":")[0] in {name, "single"}


@every_policy
@given(problem=problems)
@settings(max_examples=40)
def test_producers_come_before_consumers(name: str, problem: Problem) -> None:
    placement = placed(name, problem)
    if placement is not None:
        assert (placement.priority[problem.edges[:, 0]] < placement.priority[problem.edges[:, 1]]).all()


@every_policy
@given(problem=problems)
@settings(max_examples=60)
def test_the_planned_makespan_is_that_of_a_replay(name: str, problem: Problem) -> None:
    placement = placed(name, problem)
    if placement is not None:
        assert placement.planned_s == makespan(problem, placement)


@every_policy
@given(problem=problems)
@settings(max_examples=40)
def test_a_view_is_placed_where_its_data_lies(name: str, problem: Problem) -> None:
    placement = placed(name, problem)
    if placement is not None:
        assert placement.device.tolist() == storage(problem, placement)


@every_policy
def test_the_same_problem_gives_the_same_placement(name: str) -> None:
    first, again = (placed(name, random_problem(np.random.default_rng(5), 60, 3)) for _ in range(2))
    if first is not None and again is not None:
        assert first.device.tolist() == again.device.tolist()
        assert first.priority.tolist() == again.priority.tolist()


@pytest.mark.slow
def test_placements_do_not_depend_on_the_hash_seed() -> None:
    folder = Path(hwsim.__file__).parents[1]
    found = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(folder)}
        command = [sys.executable, __file__]
        found.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(ast.literal_eval(found[0])) == len(POLICIES)
    assert found[0] == found[1]


@every_policy
def test_a_task_that_no_device_can_run_is_named(name: str) -> None:
    problem = random_problem(np.random.default_rng(3), 6, 2)
    problem.time_s[:, 4] = INF
    with pytest.raises(PlacementError, match=r"no device of d0, d1 can run t4 \(op\)"):
        POLICIES[name].place(problem)


@every_policy
def test_an_option_that_the_policy_does_not_know_is_refused(name: str) -> None:
    whole = random_problem(np.random.default_rng(3), 6, 2)
    problem = Problem(
        **{**{key: getattr(whole, key) for key in Problem.__dataclass_fields__}, "options": {"colour": 1}}
    )
    with pytest.raises(InputError, match=f"policy '{name}' does not read 'colour'"):
        POLICIES[name].place(problem)


@every_policy
def test_the_engine_takes_as_long_as_planned_where_nothing_contends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MobileNet v2 is a chain of layers, so the units of the phone never share its memory at the same time."""
    plans: list[Placement] = []

    class Watched:
        @staticmethod
        def place(problem: Problem) -> Placement:
            plans.append(POLICIES[name].place(problem))
            return plans[-1]

    monkeypatch.setattr(phases, "POLICIES", {name: Watched})
    result = hwsim.simulate(hwsim.workload("mobilenet_v2"), "snapdragon_8_gen_3", policy=name)
    assert result.latency_s == pytest.approx(sum(plan.planned_s for plan in plans), rel=1e-6)


if __name__ == "__main__":
    shown = {}
    for policy in POLICIES:
        plan = placed(policy, random_problem(np.random.default_rng(11), 80, 4))
        shown[policy] = (plan.device.tolist(), plan.priority.tolist(), plan.planned_s) if plan else ()
    sys.stdout.write(repr(shown))
