"""The policy `rules`: patterns in order, what they leave over, and rules that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hwsim.errors import InputError, PlacementError, UnknownNameError
from hwsim.placement.problem import POLICIES, Placement, Problem

INF = float("inf")
RULES = POLICIES["rules"]


@pytest.fixture
def phone(make_problem: Callable[..., Problem]) -> Callable[..., Problem]:
    """A conv2d, a conv1d, a linear and a softmax in a chain; the NPU is the fastest but has no softmax."""

    def problem(**options: Any) -> Problem:
        return make_problem(
            [[1, 1, 1, INF], [2, 2, 2, 2], [9, 9, 9, 3]],
            [(0, 1, 0), (1, 2, 0), (2, 3, 0)],
            devices=("npu", "gpu", "cpu"),
            kinds=("systolic_npu", "simt_gpu", "cpu"),
            operators=("conv2d", "conv1d", "linear", "softmax"),
            tags=[("block0",), ("block1",), ("block1", "head"), ()],
            **options,
        )

    return problem


def roles(problem: Problem) -> list[str]:
    placement = RULES.place(problem)
    return [problem.devices[device] for device in placement.device.tolist()]


def rule(device: Any, **match: Any) -> dict[str, Any]:
    return {"match": match, "device": device}


def test_without_rules_each_task_runs_where_it_is_fastest(phone: Callable[..., Problem]) -> None:
    assert roles(phone()) == ["npu", "npu", "npu", "gpu"]


def test_the_first_rule_that_matches_decides(phone: Callable[..., Problem]) -> None:
    rules = [rule("cpu", operator="conv2d"), rule("gpu", operator="conv*")]
    assert roles(phone(rules=rules)) == ["cpu", "gpu", "npu", "gpu"]
    assert roles(phone(rules=rules[::-1])) == ["gpu", "gpu", "npu", "gpu"]


def test_rules_match_names_and_tags_too(phone: Callable[..., Problem]) -> None:
    assert roles(phone(rules=[rule("cpu", name="t[02]")])) == ["cpu", "npu", "cpu", "gpu"]
    assert roles(phone(rules=[rule("cpu", tag="block1")])) == ["npu", "cpu", "cpu", "gpu"]


def test_all_keys_of_a_match_must_hold(phone: Callable[..., Problem]) -> None:
    assert roles(phone(rules=[rule("cpu", operator="conv*", tag="block1")])) == ["npu", "cpu", "npu", "gpu"]


def test_a_pattern_is_not_a_part_of_a_word(phone: Callable[..., Problem]) -> None:
    assert roles(phone(rules=[rule("cpu", operator="conv")])) == ["npu", "npu", "npu", "gpu"]


def test_what_no_rule_matches_goes_to_the_default(phone: Callable[..., Problem]) -> None:
    assert roles(phone(rules=[rule("gpu", operator="conv*")], default="cpu")) == ["gpu", "gpu", "cpu", "cpu"]


def test_what_the_device_cannot_run_goes_to_the_default_or_where_it_is_fastest(phone: Callable[..., Problem]) -> None:
    rules = [rule("npu", operator="*")]
    assert roles(phone(rules=rules, default="cpu"))[3] == "cpu"
    assert roles(phone(rules=rules, default="npu"))[3] == "gpu"
    assert roles(phone(rules=rules))[3] == "gpu"


def test_of_a_list_of_devices_the_first_that_can_takes_the_task(phone: Callable[..., Problem]) -> None:
    assert roles(phone(rules=[rule(["npu", "cpu"], operator="*")])) == ["npu", "npu", "npu", "cpu"]


def test_a_mapping_from_operators_to_devices_is_the_short_form(phone: Callable[..., Problem]) -> None:
    short = phone(rules={"conv*": "gpu", "linear": ["cpu", "gpu"]})
    assert roles(short) == ["gpu", "gpu", "cpu", "gpu"]


def test_the_plan_counts_what_crosses_between_devices(
    make_problem: Callable[..., Problem], replayed: Callable[[Problem, Placement], float]
) -> None:
    """1 s on d0, 3 bytes at 1 s each, 2 s on d1."""
    problem = make_problem([[1, 9], [9, 2]], [(0, 1, 3)], rules=[rule("d0", name="t0")])
    placement = RULES.place(problem)
    assert placement.planned_s == replayed(problem, placement) == 6


def test_a_task_that_nobody_can_run_is_named(make_problem: Callable[..., Problem]) -> None:
    with pytest.raises(PlacementError, match=r"no device of d0 can run t0 \(op\)"):
        RULES.place(make_problem([[INF]], rules=[rule("d0", operator="*")]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": [rule("gpuu", operator="*")]}, r"no device .*rules\[0\].device.* named 'gpuu'; did you mean 'gpu'"),
        ({"default": "tpu"}, r"no device of this system \(default\) named 'tpu'"),
        ({"rules": [rule(["gpu", "gpu"], operator="*")]}, r"rules\[0\].device: names a device twice"),
        ({"rules": [rule(3, operator="*")]}, r"rules\[0\].device: write roles"),
        ({"rules": [rule([], operator="*")]}, r"rules\[0\].device: write roles"),
        ({"rules": [rule([3], operator="*")]}, r"rules\[0\].device\[0\]: write the role of a device"),
        ({"rules": [rule("gpu")]}, r"rules\[0\].match: write \{operator: conv\*\}"),
        (
            {"rules": [rule("gpu", operator="*"), rule("gpu", op="*")]},
            r"rules\[1\].match: no key 'op'; did you mean 'operator'\? Known: operator, name, tag",
        ),
        ({"rules": [rule("gpu", operator=3)]}, r"rules\[0\].match.operator: write a pattern"),
        ({"rules": [{"device": "gpu"}]}, r"rules\[0\]: write \{match:"),
        ({"rules": ["gpu"]}, r"rules\[0\]: write \{match:"),
        ({"rules": "gpu"}, r"rules: write a list of rules"),
        ({"rule": []}, r"policy 'rules' does not read 'rule'; did you mean 'rules'\?; it reads rules, default"),
    ],
)
def test_rules_that_cannot_be_read_are_refused(
    options: dict[str, Any], message: str, phone: Callable[..., Problem]
) -> None:
    with pytest.raises(InputError, match=message):
        RULES.place(phone(**options))


def test_an_unknown_role_is_an_unknown_name(phone: Callable[..., Problem]) -> None:
    with pytest.raises(UnknownNameError):
        RULES.place(phone(rules={"conv*": "dsp"}))
