"""What runs are held against: limits, claims and measurements, with units that fit their metric."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field

from hwsim.errors import InputError
from hwsim.loading.document import Keys, Node
from hwsim.loading.faults import Faults
from hwsim.loading.models import OrOne, SpecModel, build, extend, list_of, model_of
from hwsim.registry import known_names
from hwsim.specs.scenario import METRICS, ClaimSpec, RequirementSpec
from hwsim.units import parse_quantity, shown

__all__ = ["amount", "claim_models", "read_claims", "read_requirements", "requirement_models"]


def amount(raw: Any, metric: str, *, relative: bool = False) -> float:
    """A limit or a claimed value in the unit of the metric's name; a ratio is a plain number.

    >>> amount("200 ms", "latency_s")
    0.2
    >>> amount(1.5, "latency_s", relative=True)
    1.5

    Raises:
        InputError: no unit, another one, or not a number.
    """
    dimension = METRICS.get(metric, "")
    if dimension and not relative:
        return parse_quantity(raw, dimension)
    if metric == "fits" and isinstance(raw, bool):
        return float(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise InputError(f"write a plain number, not {shown(raw)}")
    return float(raw)


def requirement_models() -> Any:
    """The annotation of ``require:``."""
    limit = Field(alias="limit", description="with its unit, where the metric has one")
    return list_of(extend(model_of(RequirementSpec), RequirementSpec, {"limit_": (Any, limit)}))


def claim_models() -> Any:
    """The annotation of ``claim:``."""
    value = Field(default=None, alias="value", description="a number, or a quantity in the metric's unit")
    return Annotated[list_of(extend(model_of(ClaimSpec), ClaimSpec, {"value_": (Any, value)})), OrOne()]


def read_requirements(
    models: list[SpecModel], at: Keys, top: Node, names: dict[str, list[str]], faults: Faults
) -> tuple[RequirementSpec, ...]:
    """The requirements, each limit in the unit of its metric and each name one of the scenario's."""
    found = []
    for number, model in enumerate(models):
        keys = (*at, number)
        held: Any = model
        spec = build(RequirementSpec, model, limit=0.0)
        check_names(spec, keys, top, names, faults)
        try:
            limit = amount(held.limit_, spec.metric, relative=bool(spec.over or spec.over_variant))
            found.append(build(RequirementSpec, model, limit=limit))
        except InputError as error:
            faults.add(*top.locate((*keys, "limit")), str(error))
    return tuple(found)


def read_claims(
    models: list[SpecModel], at: Keys, top: Node, names: dict[str, list[str]], faults: Faults
) -> tuple[ClaimSpec, ...]:
    """The claims; a value with a unit needs the metric it is a value of."""
    found = []
    for number, model in enumerate(models):
        keys = (*at, number) if isinstance(_at(top, at), list) else at
        held: Any = model
        spec = build(ClaimSpec, model)
        check_names(spec, keys, top, names, faults)
        value = held.value_
        try:
            if isinstance(value, str) and spec.metric:
                value = amount(value, spec.metric)
            elif value is not None:
                value = amount(value, spec.metric, relative=True)
            found.append(build(ClaimSpec, model, value=value))
        except InputError as error:
            faults.add(*top.locate((*keys, "value")), str(error))
    return tuple(found)


def _at(top: Node, keys: Keys) -> Any:
    node: Node | None = top
    for key in keys:
        node = node.child(key) if node is not None else None
    return node.value if node is not None else None


def check_names(spec: Any, at: Keys, top: Node, names: dict[str, list[str]], faults: Faults) -> None:
    """Note every system and variant that the scenario does not have."""
    for key, kind in (("system", "system"), ("over", "system"), ("variant", "variant"), ("over_variant", "variant")):
        name = getattr(spec, key, "")
        if name and name not in names[kind]:
            faults.add(*top.locate((*at, key)), f"no {kind} {shown(name)} here{known_names(name, names[kind])}")
