"""Scenario files to :class:`ScenarioSpec`: defaults filled in, variants resolved, names and limits checked."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hwsim.errors import InputError
from hwsim.loading import library
from hwsim.loading.document import Keys, Node, read_file
from hwsim.loading.faults import Faults
from hwsim.loading.judging import check_names, claim_models, read_claims, read_requirements, requirement_models
from hwsim.loading.merge import apply_set, merged, set_at, with_values, without
from hwsim.loading.models import (
    OrOne,
    OrText,
    SpecModel,
    build,
    extend,
    list_of,
    mapping_of,
    model_of,
    parsed_by,
    validate,
)
from hwsim.loading.placing import check_placement, placement_model, placement_options
from hwsim.loading.system import first_line, load_system, spelled_out
from hwsim.loading.workload import WORKLOAD_SCHEMA, read_workload
from hwsim.placement.problem import POLICIES
from hwsim.registry import known_names
from hwsim.specs.fields import Choice, Count, Key, Text
from hwsim.specs.parallel import ParallelSpec
from hwsim.specs.scenario import (
    ArrivalsSpec,
    MeasuredSpec,
    NumericsSpec,
    ScenarioSpec,
    SystemUse,
    VariantSpec,
    WorkloadSpec,
)
from hwsim.specs.system import SystemSpec
from hwsim.specs.variant import evolve_system
from hwsim.units import shown

__all__ = ["ARRIVALS", "SCHEMA", "load_scenario", "read_scenario", "scenario_model"]

SCHEMA = "hwsim/scenario/v1"
ARRIVALS = ("once",)
_ANY = mapping_of(Any)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioHead:
    """An experiment: what runs on which systems, in which variants, and what it is held against."""

    schema: Annotated[str, Choice("schema", (SCHEMA,))]
    title: Annotated[str, Text("title")]
    policy: Annotated[str, Text("policy")] = "auto"
    arrivals: Annotated[ArrivalsSpec | None, Key("arrivals")] = None
    numerics: Annotated[NumericsSpec | None, Key("numerics")] = None
    seed: Annotated[int, Count("seed", 0)] = 0
    spill: Annotated[bool, Choice("spill")] = False
    note: Annotated[str, Text("note")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemHead:
    """A system of the library, or one of its devices, under a name of this scenario."""

    use: Annotated[str, Text("use")]
    name: Annotated[str, Text("name")] = ""
    policy: Annotated[str, Text("policy")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantHead:
    """The scenario with the values at some paths set."""

    name: Annotated[str, Text("name")]


@cache
def scenario_model() -> type[SpecModel]:
    """The model of a scenario file."""
    workload = parsed_by(lambda raw: raw, WORKLOAD_SCHEMA)
    software = parsed_by(_software, {"anyOf": [{"type": "string"}, {"type": "object"}]})
    shared: dict[str, Any] = {
        "software_": (software, Field(default=None, alias="software")),
        "placement_": (placement_model(), Field(default=None, alias="placement")),
        "parallel_": (model_of(ParallelSpec), Field(default=None, alias="parallel")),
    }
    overrides = parsed_by(lambda raw: raw, {"type": ["string", "object"]})
    own: dict[str, Any] = {
        "workload_": (overrides, Field(default=None, alias="workload")),
        "set_": (_ANY, Field(default={}, alias="set")),
    }
    system = extend(model_of(SystemHead), SystemHead, shared | own)
    variant = extend(model_of(VariantHead), VariantHead, {"set_": (_ANY, Field(alias="set"))})
    fields: dict[str, Any] = {
        "workload_": (workload, Field(default=None, alias="workload")),
        "systems_": (list_of(Annotated[system, OrText()]), Field(alias="systems")),
        "variants_": (list_of(variant), Field(default=[], alias="variants")),
        "claim_": (claim_models(), Field(default=[], alias="claim")),
        "measured_": (Annotated[list_of(model_of(MeasuredSpec)), OrOne()], Field(default=[], alias="measured")),
        "require_": (requirement_models(), Field(default=[], alias="require")),
    }
    return extend(model_of(ScenarioHead), ScenarioHead, shared | fields)


def _software(raw: object) -> str | dict[str, str]:
    if isinstance(raw, str) and raw:
        return raw
    if isinstance(raw, dict) and all(isinstance(name, str) for name in raw.values()):
        return raw
    raise InputError(f"write the name of a software stack, or {{role: stack}}, not {shown(raw)}")


def load_scenario(name: str | Path, overrides: Sequence[str] = ()) -> ScenarioSpec:
    """The scenario of that name or in that file, with values set as ``--set PATH=VALUE`` does.

    Raises:
        FileFormatError: the file, or that of a system it uses, has faults.
        UnknownNameError: there is no such scenario.
        InputError: there is no such file, or no such path to set.
    """
    return read_scenario(library.find(library.SCENARIO, str(name)), overrides)


def read_scenario(path: Path, overrides: Sequence[str] = ()) -> ScenarioSpec:
    """The scenario in a file; raises FileFormatError."""
    faults = Faults()
    node = _spelled(read_file(path, faults, SCHEMA))
    for assignment in overrides:
        node = _spelled(apply_set(node, assignment))
    spec = _scenario(node, path, faults, _variant_names(node))
    variants = _variants(node, path, faults)
    faults.check()
    return ScenarioSpec(**{name: getattr(spec, name) for name in spec.__slots__} | {"variants": variants})


def _spelled(node: Node) -> Node:
    """The document with its short forms written out, so that every path exists: systems by name, lists of one."""
    node = spelled_out(node, "systems", "use")
    systems = node.child("systems")
    if systems is not None and isinstance(systems.value, list):
        named = [_named(system) for system in systems.value]
        node = with_values(node, {"systems": Node(named, systems.place)})
    for key in ("claim", "measured"):
        one = node.child(key)
        if one is not None and isinstance(one.value, dict):
            node = with_values(node, {key: Node([one], one.place)})
    return _workload_spelled(node)


def _named(system: Node) -> Node:
    use = system.child("use")
    if use is not None and isinstance(system.value, dict) and "name" not in system.value:
        system = with_values(system, {"name": use})
    return _workload_spelled(system)


def _workload_spelled(node: Node) -> Node:
    workload = node.child("workload")
    if workload is not None and isinstance(workload.value, str):
        named = Node({"name": workload}, workload.place, {"name": workload.place})
        return with_values(node, {"workload": named})
    return node


def _variant_names(node: Node) -> list[str]:
    variants = node.child("variants")
    items = variants.value if variants is not None and isinstance(variants.value, list) else []
    return [item.name(number) for number, item in enumerate(items)]


def _variants(node: Node, path: Path, faults: Faults) -> tuple[VariantSpec, ...]:
    found = []
    plain = without(node, ("variants", "claim", "measured", "require"))
    variants = node.child("variants")
    items = variants.value if variants is not None and isinstance(variants.value, list) else []
    for number, variant in enumerate(items):
        changed = plain
        given = variant.child("set")
        changes = given.value if given is not None and isinstance(given.value, dict) else {}
        for target, value in changes.items():
            try:
                changed = _spelled(set_at(changed, target, value))
            except InputError as error:
                place, _ = node.locate(("variants", number, "set", target), key=True)
                faults.add(place, f"variants.{variant.name(number)}.set", str(error))
        plain_changes = {target: value.plain() for target, value in changes.items()}
        spec = _scenario(changed, path, faults, [])
        found.append(
            VariantSpec(name=variant.name(number), changes=types.MappingProxyType(plain_changes), scenario=spec)
        )
    return tuple(found)


def _scenario(node: Node, path: Path, faults: Faults, variants: list[str]) -> ScenarioSpec:
    _look_ahead(node, path, faults)
    model: Any = validate(scenario_model(), node, faults)
    head = build(ScenarioHead, model)
    arrivals = head.arrivals or ArrivalsSpec()
    if arrivals.kind not in ARRIVALS:
        message = f"arrivals of kind {shown(arrivals.kind)} are not simulated; write one of: {', '.join(ARRIVALS)}"
        faults.add(*node.locate(("arrivals", "kind")), message)
    if not model.systems_:
        faults.add(*node.locate(("systems",)), "is empty; write '[h100_sxm]', say")
    systems = tuple(_use(number, model, head, node, path, faults) for number in range(len(model.systems_)))
    names = {"system": [item.name_ for item in model.systems_], "variant": variants}
    measured = tuple(build(MeasuredSpec, item) for item in model.measured_)
    for number, item in enumerate(measured):
        check_names(item, ("measured", number), node, names, faults)
    return ScenarioSpec(
        name=path.stem,
        title=head.title,
        systems=tuple(use for use in systems if use is not None),
        arrivals=arrivals,
        numerics=head.numerics,
        claims=read_claims(model.claim_, ("claim",), node, names, faults),
        measured=measured,
        require=read_requirements(model.require_, ("require",), node, names, faults),
        seed=head.seed,
        spill=head.spill,
        note=head.note,
        path=str(path),
    )


def _look_ahead(node: Node, path: Path, faults: Faults) -> None:
    """Note unknown systems and workloads now, so that they are listed beside faults of other kinds."""
    systems = node.child("systems")
    if systems is None or not isinstance(systems.value, list):
        return
    for number, system in enumerate(systems.value):
        use = system.child("use")
        if use is None or not isinstance(use.value, str):
            continue
        _workload(number, node, path, faults)
        try:
            _system(use.value, path)
        except InputError as error:
            faults.add(*node.locate(("systems", number, "use")), first_line(error))


def _use(number: int, model: Any, head: ScenarioHead, node: Node, path: Path, faults: Faults) -> SystemUse | None:
    own = model.systems_[number]
    at: Keys = ("systems", number)
    workload = _workload(number, node, path, faults)
    try:
        system = _system(own.use_, path)
    except InputError as error:
        faults.add(*node.locate((*at, "use")), first_line(error))
        return None
    for field, value in own.set_.items():
        try:
            system = evolve_system(system, {field: value}, own.name_)
        except InputError as error:
            faults.add(*node.locate((*at, "set", field)), str(error).removeprefix(f"{field}: "))
    software, software_at = (own.software_, (*at, "software")) if own.software_ else (model.software_, ("software",))
    _check_software(software, system, software_at, node, faults)
    placement, placement_at = (
        (own.placement_, (*at, "placement")) if own.placement_ else (model.placement_, ("placement",))
    )
    check_placement(placement, system, placement_at, node, faults)
    parallel, parallel_at = (own.parallel_, (*at, "parallel")) if own.parallel_ else (model.parallel_, ("parallel",))
    spread = build(ParallelSpec, parallel) if parallel else None
    if spread is not None and spread.ranks > len(system.devices):
        message = f"{spread.ranks} ranks need as many devices; {system.name} has {len(system.devices)}"
        faults.add(*node.locate(parallel_at), message)
    policy = build(SystemHead, own).policy or head.policy
    _check_policy(policy, (*at, "policy") if own.model_fields_set & {"policy_"} else ("policy",), node, faults)
    return SystemUse(
        name=own.name_,
        system=system,
        workload=workload,
        software=software,
        policy=policy,
        placement=types.MappingProxyType(placement_options(placement)),
        parallel=spread,
    )


def _workload(number: int, node: Node, path: Path, faults: Faults) -> WorkloadSpec:
    """The scenario's workload under the system's overrides; a system that names another workload starts afresh."""
    common = node.child("workload")
    system = node.value["systems"].value[number]
    own = system.child("workload")
    at = "workload"
    chosen = common
    if own is not None:
        at = f"systems.{system.name(number)}.workload"
        fresh = common is None or not isinstance(own.value, dict) or {"name", "onnx"} & own.value.keys()
        chosen = own if fresh or common is None else merged(common, own)
    if chosen is None:
        faults.add(node.place, "workload", "is missing; write 'workload: {name: resnet50, batch: 8}', say")
        return WorkloadSpec()
    return read_workload(chosen, at, path, faults)


def _system(name: str, path: Path) -> SystemSpec:
    if library.is_path(name):
        return load_system(library.find_reference(library.SYSTEM, name, path))
    return load_system(name)


def _check_software(software: Any, system: SystemSpec, at: Keys, node: Node, faults: Faults) -> None:
    chosen: Mapping[str, str] = dict.fromkeys(system.devices, software) if isinstance(software, str) else software or {}
    for role, stack in chosen.items():
        keys = at if isinstance(software, str) else (*at, role)
        if role not in system.devices:
            faults.add(*node.locate(keys, key=True), f"no device {shown(role)}{known_names(role, system.devices)}")
        elif stack not in system.devices[role].software:
            device = system.devices[role]
            known = known_names(stack, device.software)
            faults.add(*node.locate(keys), f"{device.name} has no software stack {shown(stack)}{known}")


def _check_policy(policy: str, at: Keys, node: Node, faults: Faults) -> None:
    known = dict.fromkeys(("auto", *POLICIES))
    if policy not in known:
        faults.add(*node.locate(at), f"no policy {shown(policy)}{known_names(policy, known)}")
