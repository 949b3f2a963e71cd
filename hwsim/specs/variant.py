"""A system with a field of one of its devices set by its YAML path, and what may stand there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwsim.errors import InputError
from hwsim.registry import known_names
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Count, Formats, Key, Marker, evolve, spec_fields
from hwsim.specs.system import SystemSpec, single

__all__ = ["evolve_system", "marker_at"]

_SHARED = ("memory", "interconnect")


def evolve_system(system: SystemSpec, changes: Mapping[str, object], name: str | None = None) -> SystemSpec:
    """A variant of a system: ``npu.memory.tcm.bandwidth`` names a role first, except where there is one device.

    ``memory.bandwidth`` and ``interconnect.bandwidth`` reach what several devices share.

    Raises:
        InputError: no such role or field, or a value that the YAML would refuse.
    """
    grouped: dict[str, dict[str, object]] = {}
    for path, value in changes.items():
        role, inner = _split(system, path)
        grouped.setdefault(role, {})[inner] = value
    for role, own in grouped.items():
        system = _evolved(system, role, own, name)
    return system


def _evolved(system: SystemSpec, role: str, changes: Mapping[str, object], name: str | None) -> SystemSpec:
    if role not in system.devices:
        shared = evolve(getattr(system, role), changes)
        return dataclasses.replace(system, **{role: shared}, name=name or system.name)
    device = system.devices[role].evolve(changes, name)
    if list(system.devices) == [system.name]:
        return single(device)
    devices = MappingProxyType({**system.devices, role: device})
    return dataclasses.replace(system, name=name or system.name, devices=devices)


def marker_at(system: SystemSpec, path: str) -> Marker:
    """The marker of the field that a path reaches: what may be written there.

    Raises:
        InputError: no such role or field, or a section instead of a field.
    """
    role, inner = _split(system, path)
    if role not in system.devices:
        return _marker(getattr(system, role), inner.split("."), path)
    device = system.devices[role]
    head, _, rest = inner.partition(".")
    if head == device.kind:
        return _marker(device.core, rest.split("."), path)
    if head == "queues" and not rest:
        return Count("queues")
    return _in_device(device, head, rest, path)


def _in_device(device: DeviceSpec, head: str, rest: str, path: str) -> Marker:
    if head == "power":
        return _marker(device.power, rest.split("."), path)
    if head != "memory":
        known = (device.kind, "memory", "power", "queues")
        raise InputError(f"{path}: no section '{head}'{known_names(head, known)}")
    level, _, key = rest.partition(".")
    names = [item.name for item in device.memory]
    if level not in names:
        raise InputError(f"{path}: no memory '{level}'{known_names(level, names)}")
    return _marker(device.memory_level(level), key.split("."), path)


def _split(system: SystemSpec, path: str) -> tuple[str, str]:
    head, _, rest = path.partition(".")
    if head in system.devices:
        return head, rest
    if len(system.devices) == 1:
        return next(iter(system.devices)), path
    if head in _SHARED and getattr(system, head) is not None:
        return head, rest
    raise InputError(f"{path}: no device '{head}'{known_names(head, system.devices)}; write ROLE.PATH")


def _marker(section: Any, keys: list[str], path: str) -> Marker:
    known = spec_fields(type(section))
    field = known.get(keys[0])
    if field is None:
        raise InputError(f"{path}: no field '{keys[0]}'{known_names(keys[0], known)}")
    if isinstance(field.marker, Formats) and len(keys) == 2:
        return field.marker.of
    if isinstance(field.marker, Key) or len(keys) > 1:
        return _nested(getattr(section, field.name), keys, path)
    return field.marker


def _nested(value: Any, keys: list[str], path: str) -> Marker:
    rest = keys[1:]
    if isinstance(value, tuple) and rest:
        items = {item.name: item for item in value}
        if rest[0] not in items:
            raise InputError(f"{path}: no item '{rest[0]}'{known_names(rest[0], items)}")
        value, rest = items[rest[0]], rest[1:]
    if not rest or not dataclasses.is_dataclass(value):
        raise InputError(f"{path}: write the path of a single field")
    return _marker(value, rest, path)
