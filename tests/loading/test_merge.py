"""Documents as differences from others."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.errors import FileFormatError, InputError
from hwsim.loading.document import Node, read_text
from hwsim.loading.faults import Faults
from hwsim.loading.merge import apply_set, merged, with_values, without


def node(text: str, file: str = "x.yaml") -> Node:
    return read_text(text, file, Faults())


def both(parent: str, child: str) -> Any:
    return merged(node(parent, "parent.yaml"), node(child, "child.yaml")).plain()


def test_mappings_merge_by_key_at_every_depth() -> None:
    assert both("a: {b: 1, c: 2}\nd: 3", "a: {b: 9}\ne: 4") == {"a": {"b": 9, "c": 2}, "d": 3, "e": 4}


def test_lists_of_named_items_merge_by_name() -> None:
    parent, child = "m: [{name: a, x: 1, y: 1}, {name: b, x: 2}]", "m: [{name: c, x: 3}, {name: a, x: 9}]"
    assert both(parent, child) == {"m": [{"name": "a", "x": 9, "y": 1}, {"name": "b", "x": 2}, {"name": "c", "x": 3}]}


def test_other_lists_and_values_are_replaced() -> None:
    assert both("a: [1, 2]\nb: 1\nc: {d: 1}", "a: [3]\nb: {x: 1}\nc: 5") == {"a": [3], "b": {"x": 1}, "c": 5}


def test_every_value_keeps_the_place_it_was_written_at() -> None:
    whole = merged(node("a: {b: 1, c: 2}", "parent.yaml"), node("a: {b: 9}", "child.yaml"))
    assert str(whole.locate(("a", "b"))[0]) == "child.yaml:1:8"
    assert str(whole.locate(("a", "c"))[0]) == "parent.yaml:1:14"


def test_keys_can_be_left_out_or_put_in() -> None:
    top = node("a: 1\nb: 2\nc: 3")
    assert without(top, ("a",)).plain() == {"b": 2, "c": 3}
    assert with_values(top, {"a": node("9")}).plain() == {"a": 9, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("a.b=5", {"a": {"b": 5}, "l": [{"name": "x", "v": 1}], "k.int8": {"c": 1}}),
        ("a=fp16", {"a": "fp16", "l": [{"name": "x", "v": 1}], "k.int8": {"c": 1}}),
        ("l.x.v=5 us", {"a": {"b": 1}, "l": [{"name": "x", "v": "5 us"}], "k.int8": {"c": 1}}),
        ("l.0.v=2", {"a": {"b": 1}, "l": [{"name": "x", "v": 2}], "k.int8": {"c": 1}}),
        ("k.int8.c=2", {"a": {"b": 1}, "l": [{"name": "x", "v": 1}], "k.int8": {"c": 2}}),
        ("n.m=[1]", {"a": {"b": 1}, "l": [{"name": "x", "v": 1}], "k.int8": {"c": 1}, "n": {"m": [1]}}),
    ],
)
def test_a_value_is_set_by_its_path(assignment: str, value: object) -> None:
    assert apply_set(node("a: {b: 1}\nl: [{name: x, v: 1}]\nk.int8: {c: 1}"), assignment).plain() == value


@pytest.mark.parametrize(
    "assignment", ["a", "=1", "l.y.v=1", "l.9.v=1", "l.99999999999999999999=1", "a.b.c=1", "a..b=1"]
)
def test_a_path_that_leads_nowhere_is_refused(assignment: str) -> None:
    with pytest.raises(InputError):
        apply_set(node("a: {b: 1}\nl: [{name: x, v: 1}]"), assignment)


def test_a_value_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(FileFormatError, match="--set a=\\["):
        apply_set(node("a: 1"), "a=[")
