"""The policy `providers`: an ordered list of devices, each takes what it supports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hwsim.errors import InputError, PlacementError, UnknownNameError
from hwsim.placement.problem import POLICIES, Problem

INF = float("inf")
PROVIDERS = POLICIES["providers"]


@pytest.fixture
def phone(make_problem: Callable[..., Problem]) -> Callable[..., Problem]:
    """CPU, NPU and GPU; task 1 is unknown to the NPU, task 2 to NPU and GPU. The CPU is fastest throughout."""

    def problem(**options: Any) -> Problem:
        return make_problem(
            [[1, 1, 1], [5, INF, INF], [9, 9, INF]],
            [(0, 1, 0), (1, 2, 0)],
            devices=("cpu", "npu", "gpu"),
            kinds=("cpu", "systolic_npu", "simt_gpu"),
            operators=("conv2d", "softmax", "sort"),
            **options,
        )

    return problem


def roles(problem: Problem) -> list[str]:
    return [problem.devices[device] for device in PROVIDERS.place(problem).device.tolist()]


def test_each_task_runs_on_the_first_provider_that_supports_it_whatever_it_costs(
    phone: Callable[..., Problem],
) -> None:
    assert roles(phone(providers=["npu", "gpu", "cpu"])) == ["npu", "gpu", "cpu"]
    assert roles(phone(providers=["gpu", "npu", "cpu"])) == ["gpu", "gpu", "cpu"]


def test_without_a_list_the_order_of_the_system_counts_with_processors_last(phone: Callable[..., Problem]) -> None:
    assert roles(phone()) == ["npu", "gpu", "cpu"]


def test_a_processor_that_the_list_leaves_out_comes_last(phone: Callable[..., Problem]) -> None:
    assert roles(phone(providers=["gpu"])) == ["gpu", "gpu", "cpu"]


def test_a_processor_that_the_list_puts_first_is_first(phone: Callable[..., Problem]) -> None:
    assert roles(phone(providers=["cpu", "npu"])) == ["cpu", "cpu", "cpu"]


def test_one_provider_may_be_written_without_brackets(phone: Callable[..., Problem]) -> None:
    assert roles(phone(providers="npu")) == ["npu", "cpu", "cpu"]


def test_a_task_that_no_provider_listed_supports_is_named_with_who_could(
    make_problem: Callable[..., Problem],
) -> None:
    problem = make_problem([[1, INF], [9, 9]], operators=("conv2d", "softmax"), providers=["d0"])
    with pytest.raises(PlacementError, match=r"no provider of d0 can run t1 \(softmax\); add .* one that can: d1"):
        PROVIDERS.place(problem)


def test_a_task_that_nobody_can_run_is_named(make_problem: Callable[..., Problem]) -> None:
    with pytest.raises(PlacementError, match=r"no device of d0, d1 can run t0 \(op\)"):
        PROVIDERS.place(make_problem([[INF], [INF]]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"providers": ["npu", "dsp"]}, UnknownNameError, r"providers\[1\].* named 'dsp'"),
        ({"providers": ["npu", "npu"]}, InputError, "names a device twice"),
        ({"providers": []}, InputError, r"providers: write roles of devices, e.g. \[cpu, npu, gpu\]"),
        ({"providers": {"npu": 1}}, InputError, "providers: write roles of devices"),
        ({"device": "npu"}, InputError, r"does not read 'device' \(policy single does\); it reads providers"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(
    options: dict[str, Any], error: type[Exception], message: str, phone: Callable[..., Problem]
) -> None:
    with pytest.raises(error, match=message):
        PROVIDERS.place(phone(**options))
