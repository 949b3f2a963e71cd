"""Sweep files to :class:`SweepSpec`: axes with all their values, in the units of the fields they vary."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hwsim.errors import InputError
from hwsim.loading import library
from hwsim.loading.device import load_device
from hwsim.loading.document import Keys, Node, read_file
from hwsim.loading.faults import Faults
from hwsim.loading.judging import amount
from hwsim.loading.models import SpecModel, build, extend, list_of, mapping_of, model_of, parsed_by, validate
from hwsim.loading.system import first_line, load_system
from hwsim.loading.workload import WORKLOAD_SCHEMA, read_workload
from hwsim.registry import known_names
from hwsim.specs.fields import Choice, Count, Quantity, Ratio, Text
from hwsim.specs.scenario import METRICS
from hwsim.specs.sweep import ConstraintSpec, SearchSpec, SweepSpec, VarySpec
from hwsim.specs.system import SystemSpec, single
from hwsim.specs.variant import marker_at
from hwsim.units import base_unit, shown

__all__ = ["MAX_DESIGNS", "SCHEMA", "SEARCHES", "load_sweep", "read_sweep", "sweep_model"]

SCHEMA = "hwsim/sweep/v1"
SEARCHES = ("grid",)
MAX_DESIGNS = 1_000_000
_MAX_STEPS = 10_000
_RANGE = ("from", "to", "steps", "scale")
_GOALS = ("min", "max")
_Single = Quantity | Count | Ratio | Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepHead:
    """A design space: a base, what varies, what it runs, what counts."""

    schema: Annotated[str, Choice("schema", (SCHEMA,))]
    title: Annotated[str, Text("title")] = ""
    software: Annotated[str, Text("software")] = ""
    seed: Annotated[int, Count("seed", 0)] = 0
    note: Annotated[str, Text("note")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseHead:
    """The device or the system that the designs are variants of."""

    device: Annotated[str, Text("device")] = ""
    system: Annotated[str, Text("system")] = ""


@cache
def sweep_model() -> type[SpecModel]:
    """The model of a sweep file."""
    values = {
        "anyOf": [
            {"type": "array", "minItems": 1},
            {
                "type": "object",
                "required": ["from", "to", "steps"],
                "properties": {
                    "from": {"type": ["string", "number"]},
                    "to": {"type": ["string", "number"]},
                    "steps": {"type": "integer", "minimum": 2, "maximum": _MAX_STEPS},
                    "scale": {"enum": ["linear", "log"]},
                },
                "additionalProperties": False,
            },
        ]
    }
    goal = Choice("goal", _GOALS)
    metric = Choice("metric", tuple(METRICS))
    workload = parsed_by(_unchanged, WORKLOAD_SCHEMA)
    limit: Any = (Any, Field(alias="limit", description="with its unit, where the metric has one"))
    fields: dict[str, Any] = {
        "base_": (model_of(BaseHead), Field(alias="base")),
        "vary_": (mapping_of(parsed_by(_unchanged, values)), Field(alias="vary")),
        "workloads_": (list_of(workload), Field(alias="workloads")),
        "objectives_": (
            mapping_of(parsed_by(goal.parse, goal.schema()), parsed_by(metric.parse, metric.schema())),
            Field(alias="objectives"),
        ),
        "constraints_": (
            list_of(extend(model_of(ConstraintSpec), ConstraintSpec, {"limit_": limit})),
            Field(default=[], alias="constraints"),
        ),
        "search_": (model_of(SearchSpec), Field(default=None, alias="search")),
    }
    return extend(model_of(SweepHead), SweepHead, fields)


def _unchanged(raw: object) -> object:
    return raw


def load_sweep(name: str | Path) -> SweepSpec:
    """The sweep of that name or in that file.

    Raises:
        FileFormatError: the file, or that of its base, has faults.
        UnknownNameError: there is no such sweep.
        InputError: there is no such file.
    """
    return read_sweep(library.find(library.SWEEP, str(name)))


def read_sweep(path: Path) -> SweepSpec:
    """The sweep in a file; raises FileFormatError."""
    faults = Faults()
    node = read_file(path, faults, SCHEMA)
    model: Any = validate(sweep_model(), node, faults)
    workloads = tuple(
        read_workload(use, f"workloads.{use.name(number)}", path, faults)
        for number, use in enumerate(node.value["workloads"].value)
    )
    for key in ("workloads", "vary", "objectives"):
        if not node.value[key].value:
            faults.add(*node.locate((key,)), "is empty; write at least one entry")
    search = build(SearchSpec, model.search_) if model.search_ else SearchSpec()
    if search.kind not in SEARCHES:
        message = f"no search {shown(search.kind)} yet; write one of: {', '.join(SEARCHES)}"
        faults.add(*node.locate(("search", "kind")), message)
    constraints = _constraints(model.constraints_, node, faults)
    base = _base(build(BaseHead, model.base_), node, path, faults)
    head = build(SweepHead, model)
    _check_software(head.software, base, node, faults)
    vary = _axes(model.vary_, base, node, faults)
    faults.check()
    return SweepSpec(
        name=path.stem,
        title=head.title or path.stem,
        base=base,
        vary=vary,
        workloads=workloads,
        objectives=tuple(model.objectives_.items()),
        constraints=constraints,
        search=search,
        software=head.software or None,
        seed=head.seed,
        note=head.note,
        path=str(path),
    )


def _base(head: BaseHead, node: Node, path: Path, faults: Faults) -> SystemSpec:
    if bool(head.device) == bool(head.system):
        faults.add(*node.locate(("base",)), "write either '{device: NAME}' or '{system: NAME}'")
    elif head.device:
        try:
            return single(load_device(_named(head.device, library.DEVICE, path)))
        except InputError as error:
            faults.add(*node.locate(("base", "device")), first_line(error))
    else:
        try:
            return load_system(_named(head.system, library.SYSTEM, path))
        except InputError as error:
            faults.add(*node.locate(("base", "system")), first_line(error))
    faults.check()
    raise AssertionError("unreachable: a fault was just added")


def _named(name: str, kind: library.Kind, path: Path) -> str:
    return str(library.find_reference(kind, name, path)) if library.is_path(name) else name


def _check_software(software: str, base: SystemSpec, node: Node, faults: Faults) -> None:
    for device in base.devices.values():
        if software and software not in device.software:
            known = known_names(software, device.software)
            faults.add(*node.locate(("software",)), f"{device.name} has no software stack {shown(software)}{known}")


def _constraints(models: list[Any], node: Node, faults: Faults) -> tuple[ConstraintSpec, ...]:
    found = []
    for number, model in enumerate(models):
        metric = build(ConstraintSpec, model, limit=0.0).metric
        try:
            found.append(build(ConstraintSpec, model, limit=amount(model.limit_, metric)))
        except InputError as error:
            faults.add(*node.locate(("constraints", number, "limit")), str(error))
    return tuple(found)


def _axes(vary: Mapping[str, Any], base: SystemSpec, node: Node, faults: Faults) -> tuple[VarySpec, ...]:
    axes: list[VarySpec] = []
    for path, raw in vary.items():
        at: Keys = ("vary", path)
        try:
            marker = _single_at(base, path)
        except InputError as error:
            faults.add(*node.locate(at, key=True), str(error).removeprefix(f"{path}: "))
            continue
        before = len(faults)
        values = (
            _listed(raw, marker, at, node, faults) if isinstance(raw, list) else _range(raw, marker, at, node, faults)
        )
        if len(faults) == before:
            axes.append(_axis(path, values, marker))
    designs = math.prod(len(axis.values) for axis in axes)
    if designs > MAX_DESIGNS:
        faults.add(*node.locate(("vary",)), f"{designs} designs; write fewer steps, {MAX_DESIGNS} designs at most")
    return tuple(axes)


def _single_at(base: SystemSpec, path: str) -> _Single:
    marker = marker_at(base, path)
    if isinstance(marker, Quantity | Count | Ratio | Choice):
        return marker
    raise InputError("does not lead to a single number or word; write the path of one")


def _axis(path: str, values: list[object], marker: _Single) -> VarySpec:
    unit = base_unit(marker.dimension) if isinstance(marker, Quantity) else ""
    parsed = (marker.parse(value) for value in values)
    numbers = tuple(value if isinstance(value, str) else float(value) for value in parsed)
    return VarySpec(path=path, values=tuple(values), numbers=numbers, unit=unit)


def _listed(raw: list[Any], marker: _Single, at: Keys, node: Node, faults: Faults) -> list[object]:
    if not raw:
        faults.add(*node.locate(at), "is empty; write at least one value")
    seen: set[Any] = set()
    for number, value in enumerate(raw[: _MAX_STEPS + 1]):
        try:
            parsed = marker.parse(value)
        except InputError as error:
            faults.add(*node.locate((*at, number)), str(error))
            continue
        if parsed in seen:
            faults.add(*node.locate((*at, number)), f"{shown(value)} stands twice; keep one")
        seen.add(parsed)
    if len(raw) > _MAX_STEPS:
        faults.add(*node.locate(at), f"more than {_MAX_STEPS} values; write fewer")
    return raw


def _range(raw: Any, marker: _Single, at: Keys, node: Node, faults: Faults) -> list[object]:
    """The values of ``{from, to, steps, scale}`` as the YAML would hold them; whole numbers rounded, each once."""
    before = len(faults)
    if not isinstance(raw, dict) or not {"from", "to", "steps"} <= raw.keys() <= set(_RANGE):
        faults.add(*node.locate(at), "write a list of values, or '{from: ..., to: ..., steps: 8, scale: log}'")
        return []
    ends: dict[str, float] = {}
    for key, parse in (
        ("from", marker.parse),
        ("to", marker.parse),
        ("steps", Count("steps", 2).parse),
        ("scale", Choice("scale", ("linear", "log")).parse),
    ):
        try:
            ends[key] = parse(raw.get(key, "linear"))
        except InputError as error:
            faults.add(*node.locate((*at, key)), str(error))
    if len(faults) == before:
        _check_range(raw, ends, at, node, faults)
    if len(faults) > before:
        return []
    numbers = _between(ends["from"], ends["to"], int(ends["steps"]), logarithmic=raw.get("scale") == "log")
    return _written(numbers, marker)


def _check_range(raw: dict[str, Any], ends: Mapping[str, Any], at: Keys, node: Node, faults: Faults) -> None:
    if not isinstance(ends["from"], int | float) or isinstance(ends["from"], bool):
        faults.add(*node.locate((*at, "from")), "words have no range; write a list of values")
    elif ends["from"] >= ends["to"]:
        faults.add(*node.locate((*at, "to")), f"write a value above 'from', not {shown(raw['to'])}")
    elif raw.get("scale") == "log" and ends["from"] <= 0:
        faults.add(*node.locate((*at, "from")), "a log scale begins above zero; write a positive value")
    if ends["steps"] > _MAX_STEPS:
        faults.add(*node.locate((*at, "steps")), f"write at most {_MAX_STEPS}, not {shown(raw['steps'])}")


def _between(low: float, high: float, steps: int, *, logarithmic: bool) -> list[float]:
    if logarithmic:
        inner = [low * (high / low) ** (step / (steps - 1)) for step in range(1, steps - 1)]
    else:
        inner = [low + (high - low) * step / (steps - 1) for step in range(1, steps - 1)]
    return [low, *inner, high]


def _written(numbers: list[float], marker: _Single) -> list[object]:
    if isinstance(marker, Count):
        return list(dict.fromkeys(round(number) for number in numbers))
    if isinstance(marker, Quantity):
        return [f"{number!r} {base_unit(marker.dimension)}" for number in numbers]
    return list(numbers)
