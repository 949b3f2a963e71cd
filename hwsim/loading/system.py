"""System files to :class:`SystemSpec`: devices by role, the memory they share, links, an interconnect."""

from __future__ import annotations

import itertools
import re
import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from hwsim.errors import InputError, UnknownNameError
from hwsim.graph.work import EXCHANGE_SIZES, PATTERNS
from hwsim.loading import library
from hwsim.loading.device import SCHEMA as DEVICE_SCHEMA
from hwsim.loading.device import load_device, load_reference
from hwsim.loading.document import Keys, Node, read_file
from hwsim.loading.faults import Faults
from hwsim.loading.links import carried
from hwsim.loading.merge import with_values
from hwsim.loading.models import (
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
from hwsim.loading.residuals import check_residuals
from hwsim.registry import known_names, suggest
from hwsim.specs.device import DeviceSpec, MemorySpec
from hwsim.specs.fields import Choice, Count, Key, Names, Text
from hwsim.specs.system import InterconnectSpec, LinkSpec, SystemSpec, single
from hwsim.units import shown

__all__ = ["SCHEMA", "load_system", "read_system", "spelled_out", "system_model"]

SCHEMA = "hwsim/system/v1"
_ALL, _INSIDE, _ACROSS = "all", "machine", "machines"
_ROLE = re.compile(r"[a-z][a-z0-9_]*")
_MOST_DEVICES = 1024
_MOST_LINKED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemHead:
    """Several devices, the memory they share, the links between them."""

    schema: Annotated[str, Choice("schema", (SCHEMA,))]
    name: Annotated[str, Text("name")]
    title: Annotated[str, Text("title")] = ""
    aliases: Annotated[tuple[str, ...], Names("aliases")] = ()
    memory: Annotated[MemorySpec | None, Key("memory")] = None
    interconnect: Annotated[InterconnectSpec | None, Key("interconnect")] = None
    note: Annotated[str, Text("note")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUse:
    """A device of the library in a role, ``count`` times; ``set:`` changes fields as ``evolve`` does."""

    use: Annotated[str, Text("use")]
    count: Annotated[int, Count("count")] = 1


@cache
def system_model() -> type[SpecModel]:
    """The model of a system file."""
    two = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
    pair = {"anyOf": [two, {"enum": [_ALL, _INSIDE, _ACROSS]}]}
    link = extend(model_of(LinkSpec), LinkSpec, {"between_": (parsed_by(_between, pair), Field(alias="between"))})
    changes = mapping_of(Any)
    use = extend(model_of(DeviceUse), DeviceUse, {"set_": (changes, Field(default={}, alias="set"))})
    fields: dict[str, Any] = {
        "devices_": (mapping_of(Annotated[use, OrText()]), Field(alias="devices")),
        "links_": (list_of(link), Field(default=[], alias="links")),
    }
    return extend(model_of(SystemHead), SystemHead, fields)


def _between(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str) and raw in (_ALL, _INSIDE, _ACROSS):
        return (raw,)
    if isinstance(raw, list) and len(raw) == 2 and all(isinstance(role, str) for role in raw):
        return (raw[0], raw[1])
    raise InputError(f"write two roles, e.g. '[npu, cpu]', 'all', 'machine' or 'machines', not {shown(raw)}")


def load_system(name: str | Path) -> SystemSpec:
    """The system of that name or in that file; the name of a device stands for a system of that device alone.

    Raises:
        FileFormatError: its file, or that of one of its devices, has faults.
        UnknownNameError: there is neither a system nor a device of that name.
        InputError: there is no such file.
    """
    if library.is_path(str(name)):
        path = library.find(library.SYSTEM, str(name))
        schema = read_file(path, Faults()).child("schema")
        if schema is not None and schema.value == DEVICE_SCHEMA:
            return single(load_device(path))
        return library.cached("system", path, lambda: read_system(path))
    if str(name) in library.list_systems():
        path = library.find(library.SYSTEM, str(name))
        return library.cached("system", path, lambda: read_system(path))
    try:
        return single(load_device(name))
    except UnknownNameError as error:
        if library.file_beside(str(name)):
            raise
        hint = suggest(str(name)[:60], (*library.list_systems(), *library.list_devices()))
        raise UnknownNameError(f"no system or device named '{name}'{hint}" if hint else str(error)) from None


def spelled_out(node: Node, key: str, inner: str) -> Node:
    """The mapping with texts below ``key`` written as mappings: ``npu: x`` becomes ``npu: {inner: x}``."""
    section = node.child(key)
    if section is None:
        return node
    if isinstance(section.value, dict):
        made = {name: _spelled(child, inner) for name, child in section.value.items()}
        return with_values(node, {key: with_values(section, made)})
    if isinstance(section.value, list):
        return with_values(node, {key: Node([_spelled(child, inner) for child in section.value], section.place)})
    return node


def _spelled(node: Node, inner: str) -> Node:
    return Node({inner: node}, node.place, {inner: node.place}) if isinstance(node.value, str) else node


def read_system(path: Path) -> tuple[SystemSpec, tuple[Path, ...]]:
    """The system in a file, and the files it was made from; raises FileFormatError."""
    faults = Faults()
    node = carried(spelled_out(read_file(path, faults, SCHEMA), "devices", "use"))
    name = node.child("name")
    if name is not None and isinstance(name.value, str) and name.value != path.stem:
        faults.add(name.place, "name", f"the file is called {path.name}; write '{path.stem}' or rename the file")
    _look_ahead(node, path, faults)
    _check_residuals(node, faults)
    _check_carried(node, faults)
    model: Any = validate(system_model(), node, faults)
    devices = _devices(model.devices_, node, path, faults)
    roles = list(itertools.chain.from_iterable(_roles(role, use) for role, use in model.devices_.items()))
    links = _links(model.links_, roles, model.interconnect_, node, faults)
    faults.check()
    head = build(SystemHead, model)
    spec = SystemSpec(
        name=head.name,
        title=head.title or head.name,
        aliases=head.aliases,
        devices=types.MappingProxyType(devices),
        memory=head.memory,
        links=links,
        interconnect=head.interconnect,
        path=str(path),
    )
    return spec, (path, *(Path(device.path) for device in devices.values()))


def _look_ahead(node: Node, path: Path, faults: Faults) -> None:
    """Note devices that cannot be loaded now, so that they are listed beside faults of other kinds."""
    devices = node.child("devices")
    if devices is None or not isinstance(devices.value, dict):
        return
    for role, device in devices.value.items():
        use = device.child("use")
        if use is not None and isinstance(use.value, str):
            try:
                load_reference(use.value, path)
            except InputError as error:
                faults.add(*node.locate(("devices", role, "use")), first_line(error))


def _check_residuals(node: Node, faults: Faults) -> None:
    """Note what does not fit together in residuals of the links inside machines and of the network between them."""
    for above in (("interconnect",), ("interconnect", "network")):
        section: Node | None = node
        for key in (*above, "residual"):
            section = section and section.child(key)
        for at, residual in enumerate(section.value if section and isinstance(section.value, list) else ()):
            path = f"{'.'.join(above)}.residual[{at}]"
            for pattern, place in check_residuals(residual, path, faults, (EXCHANGE_SIZES,)):
                if pattern not in PATTERNS:
                    faults.add(place, f"{path}.of", f"no collective {shown(pattern)}{known_names(pattern, PATTERNS)}")


def _check_carried(node: Node, faults: Faults) -> None:
    """Note starts that an interconnect lacks, or that nothing reads."""
    links = node.child("interconnect")
    if links is None or not isinstance(links.value, dict) or "like" in links.value:
        return
    for key in sorted({"base", "step"} - links.value.keys()):
        faults.add(links.place, f"interconnect.{key}", f"is missing; write '{key}: 1 us', or 'like: nvlink' for all")
    if "start" in links.value:
        place = links.value["start"].place
        faults.add(place, "interconnect.start", "is read where 'like: nvlink' stands beside it; write 'base'")


def first_line(error: InputError) -> str:
    """The first fault of a file that this one names, and how many more there are."""
    first, *others = str(error).splitlines()
    return f"{first} (and {len(others)} more)" if others else first


def _devices(uses: dict[str, Any], node: Node, path: Path, faults: Faults) -> dict[str, DeviceSpec]:
    devices: dict[str, DeviceSpec] = {}
    if not uses:
        faults.add(*node.locate(("devices",)), "is empty; write 'gpu: h100_sxm', say")
    for role, use in uses.items():
        head = build(DeviceUse, use)
        if not _ROLE.fullmatch(role):
            faults.add(*node.locate(("devices", role), key=True), "write a role in lower case, e.g. 'npu'")
        if head.count > _MOST_DEVICES:
            faults.add(*node.locate(("devices", role, "count")), f"at most {_MOST_DEVICES}")
            continue
        try:
            spec = load_reference(head.use, path)
        except InputError as error:
            faults.add(*node.locate(("devices", role, "use")), first_line(error))
            continue
        spec = _changed(spec, use.set_, ("devices", role, "set"), node, faults)
        for name in _roles(role, use):
            if name in devices:
                faults.add(*node.locate(("devices", role), key=True), f"two devices are called '{name}'; rename one")
            devices[name] = spec
    return devices


def _roles(role: str, use: Any) -> list[str]:
    """The roles of a device used ``count`` times: ``gpu: {count: 2}`` fills gpu0 and gpu1."""
    if "count_" not in use.model_fields_set:
        return [role]
    return [f"{role}{number}" for number in range(min(use.count_, _MOST_DEVICES))]


def _changed(spec: DeviceSpec, changes: dict[str, Any], at: Keys, node: Node, faults: Faults) -> DeviceSpec:
    for field, value in changes.items():
        try:
            spec = spec.evolve({field: value}, name=spec.name)
        except InputError as error:
            place, path = node.locate((*at, field))
            faults.add(place, path, str(error).removeprefix(f"{field}: "))
    return spec


def _links(models: list[Any], roles: list[str], wired: Any, node: Node, faults: Faults) -> tuple[LinkSpec, ...]:
    links: list[LinkSpec] = []
    taken: set[frozenset[str]] = set()
    machine = (wired and wired.node_) or len(roles)
    for number, model in enumerate(models):
        place, path = node.locate(("links", number, "between"))
        if len(model.between_) == 1 and len(roles) > _MOST_LINKED:
            word = f"'{model.between_[0]}'"
            faults.add(
                place, path, f"{word} would link {len(roles)} devices in pairs; write an 'interconnect:' for them"
            )
            continue
        for one, other in _pairs(model.between_, roles, machine):
            unknown = [role for role in (one, other) if role not in roles]
            if unknown:
                faults.add(place, path, f"no device {shown(unknown[0])}{known_names(unknown[0], roles)}")
            elif one == other:
                faults.add(place, path, f"links '{one}' with itself; write two roles")
            elif frozenset((one, other)) in taken:
                faults.add(place, path, f"'{one}' and '{other}' are linked twice; keep one link")
            taken.add(frozenset((one, other)))
            links.append(build(LinkSpec, model, between=(one, other)))
    return tuple(links)


def _pairs(between: tuple[str, ...], roles: list[str], machine: int) -> list[tuple[str, str]]:
    """Two roles, or all pairs, those inside a machine of so many devices, those in different machines."""
    if len(between) == 2:
        return [(between[0], between[1])]
    numbered = itertools.combinations(enumerate(roles), 2)
    wanted = {_ALL: (True, False), _INSIDE: (True,), _ACROSS: (False,)}[between[0]]
    return [(a, b) for (i, a), (j, b) in numbered if (i // machine == j // machine) in wanted]
