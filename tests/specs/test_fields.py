"""Markers: what a YAML value may be, and how a path sets a field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from hwsim.errors import InputError
from hwsim.specs.fields import Choice, Count, Formats, Key, Names, Quantity, Ratio, Text, evolve, spec_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: Annotated[str, Text("name")]
    size_bytes: Annotated[float, Quantity("size", "bytes")] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    count: Annotated[int, Count("count")]
    rates: Annotated[Mapping[str, float], Formats("rates", Ratio("", 0.0), ("fp16", "int8"))] = field(
        default_factory=dict
    )
    parts: Annotated[tuple[Part, ...], Key("parts")] = ()
    main: Annotated[Part | None, Key("main")] = None
    unmarked: int = 0


WHOLE = Whole(count=1, rates={"fp16": 2.0}, parts=(Part(name="a"), Part(name="b")), main=Part(name="m"))


@pytest.mark.parametrize(
    ("marker", "raw", "value"),
    [
        (Quantity("k", "s"), "5 us", 5e-6),
        (Quantity("k", "s", zero=True), "0 s", 0.0),
        (Count("k"), 3, 3),
        (Count("k", 0), 0, 0),
        (Ratio("k"), 1, 1.0),
        (Text("k"), "a", "a"),
        (Choice("k", ("a", "b")), "b", "b"),
        (Choice("k"), True, True),
        (Formats("k", Count(""), ("fp16",)), {"fp16": 2}, {"fp16": 2}),
        (Names("k"), ["a", "b"], ("a", "b")),
    ],
)
def test_a_marker_reads_what_it_stands_for(marker: Any, raw: object, value: object) -> None:
    assert marker.parse(raw) == value


@pytest.mark.parametrize(
    ("marker", "raw", "says"),
    [
        (Quantity("k", "s"), "0 s", "greater than 0"),
        (Quantity("k", "s"), None, "not nothing"),
        (Count("k"), 0, "write a whole number of at least 1, not 0"),
        (Count("k"), 1.5, "not 1.5"),
        (Count("k"), True, "not true"),
        (Count("k"), "3", "not '3'"),
        (Ratio("k", 0.0, 1.0), 1.5, "write a number from 0 to 1, not 1.5"),
        (Ratio("k"), -1, "write a number of at least 0, not -1"),
        (Ratio("k"), float("nan"), "not nan"),
        (Ratio("k"), float("inf"), "not inf"),
        (Ratio("k"), "0.5", "not '0.5'"),
        (Text("k"), "  ", "write some text"),
        (Text("k"), 5, "write some text, not 5"),
        (Choice("k", ("left", "right")), "lefft", "did you mean 'left'"),
        (Choice("k", ("left", "right")), ["left"], "not a list"),
        (Choice("k"), "yes", "write true or false, not 'yes'"),
        (Formats("k", Count(""), ("fp16",)), {"fp61": 2}, "did you mean 'fp16'"),
        (Formats("k", Count(""), ("fp16",)), ["fp16"], "write a mapping"),
        (Names("k"), "a", "write a list of names"),
        (Names("k"), ["a", "a"], "stands twice"),
        (Names("k", ("fuse",)), ["fsue"], "did you mean 'fuse'"),
    ],
)
def test_a_marker_refuses_the_rest_and_says_what_to_write(marker: Any, raw: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        marker.parse(raw)


def test_the_fields_of_a_spec_go_by_their_yaml_keys() -> None:
    found = spec_fields(Whole)
    assert list(found) == ["count", "rates", "parts", "main"]
    assert [item.required for item in found.values()] == [True, False, False, False]
    assert spec_fields(Part)["size"].name == "size_bytes"


def test_a_path_sets_a_field_a_format_a_list_item_and_a_section() -> None:
    changes = {"count": 5, "rates.int8": 4, "parts.b.size": "2 B", "main.size": "3 B"}
    changed = evolve(WHOLE, changes)
    assert changed.count == 5
    assert changed.rates == {"fp16": 2.0, "int8": 4.0}
    assert [part.size_bytes for part in changed.parts] == [1.0, 2.0]
    assert changed.main.size_bytes == 3.0
    assert WHOLE.count == 1


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("cuont", 5, "cuont: no field 'cuont'; did you mean 'count'"),
        ("count", "5", "count: write a whole number"),
        ("count.x", 5, "'count' has no parts"),
        ("parts", 5, "names a section"),
        ("parts.c.size", "1 B", "no item named 'c'; known: a, b"),
        ("parts.a", 5, "names an item"),
        ("main.size", "1 s", "main.size: write a number and the unit 'B'"),
        ("unmarked", 5, "no field 'unmarked'"),
    ],
)
def test_a_wrong_path_or_value_is_named(path: str, value: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        evolve(WHOLE, {path: value})
