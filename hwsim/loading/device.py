"""Device files to :class:`DeviceSpec`: one chip, or a chip as a difference from another (``extends:``)."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field

from hwsim.devices.base import KINDS, DeviceKind
from hwsim.errors import InputError
from hwsim.graph.tensor import FORMATS, SCHEMES
from hwsim.loading import library
from hwsim.loading.document import Node, read_file
from hwsim.loading.extending import extended
from hwsim.loading.faults import Faults
from hwsim.loading.merge import without
from hwsim.loading.models import SpecModel, build, extend, mapping_of, model_of, parsed_by, validate
from hwsim.loading.stacks import build_stack, stack_model
from hwsim.registry import suggest
from hwsim.specs.device import DatasheetSpec, DeviceSpec, MemorySpec, PowerSpec
from hwsim.specs.fields import Choice, Count, Key, Names, Text
from hwsim.specs.operating import at_state
from hwsim.specs.software import SoftwareSpec
from hwsim.units import format_quantity, shown

__all__ = ["SCHEMA", "device_model", "load_device", "load_reference", "read_device"]

SCHEMA = "hwsim/device/v1"
_DTYPES = tuple(dict.fromkeys((*SCHEMES, *FORMATS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHead:
    """A chip: identity, compute section of its kind, memories, power, datasheet peaks, software stacks."""

    schema: Annotated[str, Choice("schema", (SCHEMA,))]
    name: Annotated[str, Text("name")]
    title: Annotated[str, Text("title")]
    memory: Annotated[tuple[MemorySpec, ...], Key("memory")]
    power: Annotated[PowerSpec, Key("power")]
    datasheet: Annotated[DatasheetSpec | None, Key("datasheet")] = None
    extends: Annotated[str, Text("extends")] = ""
    aliases: Annotated[tuple[str, ...], Names("aliases")] = ()
    process: Annotated[str, Text("process")] = ""
    die: Annotated[str, Text("die")] = ""
    preferred_dtype: Annotated[str, Choice("preferred_dtype", _DTYPES)] = ""
    supports: Annotated[tuple[str, ...], Names("supports")] = ()
    unsupported: Annotated[tuple[str, ...], Names("unsupported")] = ()
    queues: Annotated[int, Count("queues")] = 1
    note: Annotated[str, Text("note")] = ""


@cache
def device_model(kind: str) -> type[SpecModel]:
    """The model of a device file of that kind; raises UnknownNameError."""
    found = KINDS[kind]
    stacks = mapping_of(stack_model(kind))
    fields: dict[str, Any] = {
        "kind_": (parsed_by(Choice("kind", (kind,)).parse, {"const": kind}), Field(alias="kind")),
        "core_": (model_of(found.section), Field(alias=kind)),
        "software_": (stacks, Field(alias="software") if found.constants else Field(default={}, alias="software")),
    }
    return extend(model_of(DeviceHead), DeviceHead, fields)


def load_device(name: str | Path) -> DeviceSpec:
    """The device of that name in the library, under that alias, or in that file; ``name@state`` holds it at a P-state.

    Raises:
        FileFormatError: its file, or one it extends, has faults.
        UnknownNameError: there is no such device, or it has no such P-state.
        InputError: there is no such file.
    """
    base, state = _state_apart(str(name))
    if state:
        return at_state(load_device(base), state)
    try:
        path = library.find(library.DEVICE, str(name))
    except InputError as error:
        return load_device(_aliased(str(name), error))
    return library.cached("device", path, lambda: read_device(path))


def load_reference(name: str, beside: Path) -> DeviceSpec:
    """The device that another file names, held at the P-state after its ``@`` if there is one; raises InputError."""
    base, state = _state_apart(name)
    spec = load_device(library.find_reference(library.DEVICE, base, beside))
    return at_state(spec, state) if state else spec


def _state_apart(name: str) -> tuple[str, str]:
    """``chip@state`` in two; a path that merely has such a sign in it is left whole."""
    base, _, state = name.rpartition("@")
    return (base, state) if base and not library.is_path(state) else (name, "")


def _aliased(name: str, error: InputError) -> str:
    """The device, or the P-state of one, with that alias; raises ``error`` where a path or no alias was meant."""
    if library.is_path(name):
        raise error
    try:
        return library.find_by_alias(name)
    except InputError:
        if name in library.list_systems():
            raise InputError(f"'{name}' is a system, and one device is wanted; 'hwsim compare' runs systems") from None
        raise error from None


def read_device(path: Path) -> tuple[DeviceSpec, tuple[Path, ...]]:
    """The device in a file, and the files it was made from; raises FileFormatError."""
    faults = Faults()
    own = read_file(path, faults, SCHEMA)
    node, sources = extended(own, path, faults)
    _check_identity(own, path, faults)
    kind = _kind(node, faults)
    model = validate(device_model(kind.name), node, faults)
    spec = _spec(kind, cast(Any, model), path)
    _check_memory(kind, spec, node, faults)
    _check_power(spec, node, faults)
    for keys, problem in kind.misfits(spec).items():
        place, at = node.locate(keys)
        faults.add(place, at, problem)
    faults.check()
    return spec, sources


def _check_identity(node: Node, path: Path, faults: Faults) -> None:
    name = node.child("name")
    if name is not None and isinstance(name.value, str) and name.value != path.stem:
        faults.add(name.place, "name", f"the file is called {path.name}; write '{path.stem}' or rename the file")


def _kind(node: Node, faults: Faults) -> DeviceKind[Any]:
    kind = node.child("kind")
    if kind is None:
        faults.add(node.place, "kind", f"is missing; write one of {', '.join(KINDS)}, or 'extends: another device'")
    elif not isinstance(kind.value, str) or kind.value not in KINDS:
        hint = suggest(kind.value[:60], KINDS) if isinstance(kind.value, str) else ""
        faults.add(kind.place, "kind", f"write one of {', '.join(KINDS)}, not {shown(kind.value)}{hint}")
    else:
        return KINDS[kind.value]
    parts = [key for key in ("software", *KINDS) if node.child(key) is not None]
    validate(_headed(), without(node, parts) if parts else node, faults)
    faults.check()
    raise AssertionError("unreachable: a fault was just added")


@cache
def _headed() -> type[SpecModel]:
    """The model of what device files of all kinds share."""
    return extend(model_of(DeviceHead), DeviceHead, {"kind_": (Any, Field(default=None, alias="kind"))})


def _spec(kind: DeviceKind[Any], model: Any, path: Path) -> DeviceSpec:
    head = build(DeviceHead, model)
    return DeviceSpec(
        name=head.name,
        title=head.title,
        kind=kind.name,
        core=build(kind.section, model.core_),
        memory=head.memory,
        power=head.power,
        datasheet=head.datasheet or DatasheetSpec(),
        software=types.MappingProxyType(_stacks(model.software_)),
        aliases=head.aliases,
        process=head.process,
        die=head.die,
        preferred_dtype=head.preferred_dtype or "fp16",
        supports=head.supports,
        unsupported=head.unsupported,
        queues=head.queues,
        path=str(path),
        note=head.note,
    )


def _stacks(models: Mapping[str, SpecModel]) -> dict[str, SoftwareSpec]:
    if not models:  # a kind without software constants, such as a bare roofline
        return {"none": SoftwareSpec(name="none", assumption="no software: nothing is added to the hardware's time")}
    return {name: build_stack(name, model) for name, model in models.items()}


def _check_power(spec: DeviceSpec, node: Node, faults: Faults) -> None:
    """Note a limit that the idle power alone reaches: no clock is slow enough to hold it."""
    power = spec.power
    if power.idle_w >= power.tdp_w:
        place, path = node.locate(("power", "tdp"))
        limit, idle = format_quantity(power.tdp_w, "W"), format_quantity(power.idle_w, "W")
        faults.add(place, path, f"is {limit}, and the chip draws {idle} when idle; write a limit above that")


def _check_memory(kind: DeviceKind[Any], spec: DeviceSpec, node: Node, faults: Faults) -> None:
    if not spec.memory:
        faults.add(node.locate(("memory",))[0], "memory", "is empty; write the memory that holds the tensors")
    elif kind.constants and spec.main_memory.bandwidth_bytes_per_s == 0.0:
        place, path = node.locate(("memory", 0, "bandwidth"))
        faults.add(place, path, "is missing; write 'bandwidth: 3 TB/s', say")
    written = node.child("memory")
    for index, level in enumerate(written.value if written is not None else ()):
        boundary = level.child("boundary")
        if index and boundary is not None and boundary.value != "array":
            first = spec.main_memory.name
            problem = f"only the first level, {first}, lies off the chip; write 'array', or call this level {first}"
            place, path = node.locate(("memory", index, "boundary"))
            faults.add(place, path, f"{problem} to change that one")
