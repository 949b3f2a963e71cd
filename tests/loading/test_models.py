# ruff: noqa: E501 - a message is quoted whole, on one line
"""Models made from markers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import pytest

from hwsim.errors import FileFormatError
from hwsim.loading.document import read_text
from hwsim.loading.faults import Faults
from hwsim.loading.models import build, model_of, validate
from hwsim.specs.fields import Choice, Count, Formats, Key, Quantity, Ratio, Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    name: Annotated[str, Text("name")]
    size_bytes: Annotated[float, Quantity("size", "bytes")]
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    count: Annotated[int, Count("count")]
    flow: Annotated[str, Choice("flow", ("os", "ws"))] = "os"
    rates: Annotated[Mapping[str, float], Formats("rates", Ratio("", 0.0), ("fp16", "int8"))] = field(
        default_factory=dict
    )
    parts: Annotated[tuple[Part, ...], Key("parts")] = ()
    main: Annotated[Part | None, Key("main")] = None


def read(text: str) -> Whole:
    faults = Faults()
    model = validate(model_of(Whole), read_text(text, "x.yaml", faults), faults)
    faults.check()
    return build(Whole, model)


def refused(text: str) -> list[str]:
    with pytest.raises(FileFormatError) as caught:
        read(text)
    return str(caught.value).splitlines()


def test_what_is_left_out_takes_the_defaults_of_the_spec() -> None:
    assert read("count: 3") == Whole(count=3)


def test_values_lists_and_sections_become_the_spec() -> None:
    text = "count: 3\nflow: ws\nrates: {int8: 2}\nparts: [{name: a, size: 1 kB, source: x}]\nmain: {name: m, size: 1 B, assumption: y}"
    assert read(text) == Whole(
        count=3,
        flow="ws",
        rates={"int8": 2.0},
        parts=(Part(name="a", size_bytes=1000.0, source="x"),),
        main=Part(name="m", size_bytes=1.0, assumption="y"),
    )


def test_every_fault_is_told_with_its_place_path_and_remedy() -> None:
    text = "cuont: 3\nflow: is\nrates: {int9: 2, fp16: x}\nparts: [{name: a, size: 1 s, source: x}, {name: a}, 5]\nmain: []"
    assert refused(text) == [
        "x.yaml:1:1: count: is missing; write 'count: ...'",
        "x.yaml:1:1: cuont: no key 'cuont' here; did you mean 'count'? Known: count, flow, rates, parts, main",
        "x.yaml:2:7: flow: write one of os, ws, not 'is'",
        "x.yaml:3:9: rates.int9: no number format 'int9'; did you mean 'int8'? Known: fp16, int8",
        "x.yaml:3:24: rates.fp16: write a number of at least 0, not 'x'",
        "x.yaml:4:25: parts.a.size: write a number and the unit 'B', e.g. '80 GiB', not '1 s'",
        "x.yaml:4:42: parts.a: says not where it is from; write 'source: \"document, table\"' or 'assumption: \"reasoning\"'",
        "x.yaml:4:42: parts.a.size: is missing; write 'size: 80 GiB', say",
        "x.yaml:4:49: parts.a.name: two items are named 'a'; rename one",
        "x.yaml:4:53: parts.2: write a mapping, 'key: value' lines or {key: value}, not 5",
        "x.yaml:5:7: main: write a mapping, 'key: value' lines or {key: value}, not a list",
    ]


def test_the_schema_comes_from_the_same_markers() -> None:
    made = model_of(Whole).model_json_schema(by_alias=True)
    assert made["required"] == ["count"]
    assert made["additionalProperties"] is False
    assert made["properties"]["count"]["minimum"] == 1
    assert made["properties"]["flow"]["enum"] == ["os", "ws"]
    part = made["$defs"]["Part"]
    assert part["anyOf"] == [{"required": ["source"]}, {"required": ["assumption"]}]
