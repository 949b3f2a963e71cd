"""JSON Schema of the four kinds of files, from the models that read them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwsim.devices.base import KINDS
from hwsim.loading import device, scenario, sweep, system
from hwsim.registry import unknown_name

__all__ = ["SCHEMAS", "json_schema"]

SCHEMAS: Mapping[str, str] = MappingProxyType(
    {"device": device.SCHEMA, "system": system.SCHEMA, "scenario": scenario.SCHEMA, "sweep": sweep.SCHEMA}
)
"""The first line of a file by its kind."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


_LIKE = {"type": "object", "required": ["like"], "properties": {"like": {"type": "string"}}}
"""An interconnect as a difference from one that was measured, which may leave anything out."""


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of file, for completion in an editor.

    Raises:
        UnknownNameError: not one of device, system, scenario, sweep.
    """
    if kind not in SCHEMAS:
        raise unknown_name("kind of file", kind, SCHEMAS)
    if kind == "device":
        made = _device_schema()
    else:
        models = {"system": system.system_model, "scenario": scenario.scenario_model, "sweep": sweep.sweep_model}
        made = models[kind]().model_json_schema(by_alias=True)
    if kind == "system":
        made["properties"]["interconnect"] = {"anyOf": [made["properties"]["interconnect"], _LIKE]}
    return {"$schema": _DRAFT} | made | {"title": f"hwsim {kind}"}


def _device_schema() -> dict[str, Any]:
    """One branch for each kind of device, and one for a device that extends another and may leave anything out."""
    branches: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for name in KINDS:
        branch = device.device_model(name).model_json_schema(
            by_alias=True, ref_template=f"#/$defs/{name}/$defs/{{model}}"
        )
        inner = branch.pop("$defs", {})
        shared[name] = {"$defs": inner}
        branch["properties"].pop("extends")
        branches.append(branch)
    difference = {
        "type": "object",
        "required": ["schema", "name", "title", "extends"],
        "properties": {"schema": {"enum": [device.SCHEMA]}, "extends": {"type": "string"}},
    }
    return {"anyOf": [*branches, difference], "$defs": shared}
