"""``placement:`` of scenarios: what the policy is told, its roles checked against the system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field

from hwsim.errors import InputError
from hwsim.loading.document import Keys, Node
from hwsim.loading.faults import Faults
from hwsim.loading.models import SpecModel, extend, model_of, parsed_by
from hwsim.registry import known_names
from hwsim.specs.fields import Names, Text
from hwsim.specs.system import SystemSpec
from hwsim.units import shown

__all__ = ["check_placement", "placement_model", "placement_options"]

_FIELDS = ("operator", "name", "tag")
_EXAMPLE = "write '{conv*: npu}' or a list of '{match: {operator: conv*}, device: npu}'"
_ROLES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_RULES = {
    "anyOf": [
        {"type": "object", "additionalProperties": _ROLES},
        {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["match", "device"],
                "properties": {
                    "match": {
                        "type": "object",
                        "propertyNames": {"enum": list(_FIELDS)},
                        "additionalProperties": {"type": "string"},
                    },
                    "device": _ROLES,
                },
                "additionalProperties": False,
            },
        },
    ]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementHead:
    """Rules by operator, name or tag with a default, an order of devices, or one device."""

    providers: Annotated[tuple[str, ...], Names("providers")] = ()
    device: Annotated[str, Text("device")] = ""
    default: Annotated[str, Text("default")] = ""


@cache
def placement_model() -> type[SpecModel]:
    """The model of ``placement:``."""
    rules: Any = (parsed_by(_rules, _RULES), Field(default=None, alias="rules"))
    return extend(model_of(PlacementHead), PlacementHead, {"rules_": rules})


def _rules(raw: Any) -> Any:
    """The rules as they stand; raises InputError for what is neither a mapping nor a list of rules."""
    if isinstance(raw, dict) and raw and all(_are_roles(roles) for roles in raw.values()):
        return raw
    if isinstance(raw, list) and raw and all(_is_rule(rule) for rule in raw):
        return raw
    raise InputError(f"{_EXAMPLE}, not {shown(raw)}")


def _is_rule(rule: Any) -> bool:
    if not isinstance(rule, dict) or rule.keys() != {"match", "device"} or not isinstance(rule["match"], dict):
        return False
    patterns = rule["match"]
    known = bool(patterns) and patterns.keys() <= set(_FIELDS)
    return known and all(isinstance(glob, str) for glob in patterns.values()) and _are_roles(rule["device"])


def _are_roles(raw: Any) -> bool:
    listed = raw if isinstance(raw, list) else [raw]
    return bool(listed) and all(isinstance(role, str) for role in listed)


def placement_options(model: Any) -> dict[str, Any]:
    """What a model of ``placement:`` has read, as the options of a policy."""
    if model is None:
        return {}
    values = {name: getattr(model, f"{name}_") for name in ("rules", "providers", "device", "default")}
    return {name: value for name, value in values.items() if value}


def check_placement(model: Any, system: SystemSpec, at: Keys, top: Node, faults: Faults) -> None:
    """Note every role that the system does not have."""
    for keys, role in _roles(placement_options(model)):
        if role not in system.devices:
            known = known_names(role, system.devices)
            faults.add(*top.locate((*at, *keys)), f"{system.name} has no device {shown(role)}{known}")


def _roles(options: dict[str, Any]) -> Iterator[tuple[Keys, str]]:
    """Every role named, with the keys that lead to it."""
    for name in ("device", "default"):
        if name in options:
            yield (name,), options[name]
    for position, role in enumerate(options.get("providers", ())):
        yield ("providers", position), role
    rules = options.get("rules", {})
    named: Iterator[tuple[Keys, Any]]
    if isinstance(rules, dict):
        named = ((("rules", glob), roles) for glob, roles in rules.items())
    else:
        named = ((("rules", position, "device"), rule["device"]) for position, rule in enumerate(rules))
    for keys, roles in named:
        if isinstance(roles, list):
            yield from (((*keys, position), role) for position, role in enumerate(roles))
        else:
            yield keys, roles
