"""The ``software:`` section: how stacks drive a chip, checked against the constants its kind reads."""

from __future__ import annotations

import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, Field, create_model

from hwsim.devices.base import KINDS
from hwsim.graph.operator import kernel_labels
from hwsim.graph.tensor import FORMATS
from hwsim.graph.work import Form
from hwsim.loading.document import Node
from hwsim.loading.faults import Faults, Place
from hwsim.loading.merge import merged, with_values, without
from hwsim.loading.models import SpecModel, build, extend, model_of, parsed_by
from hwsim.loading.residuals import check_residuals
from hwsim.passes import PASSES
from hwsim.registry import known_names
from hwsim.specs.fields import Choice, Formats, Key, Names, Quantity, Ratio, Text, spec_fields
from hwsim.specs.software import ResidualSpec, SoftwareSpec
from hwsim.units import shown

__all__ = ["StackHead", "build_stack", "resolved_stacks", "stack_model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackHead:
    """A software stack; every key that is not listed is a kernel family with its constants."""

    timing: Annotated[tuple[str, ...], Names("timing")] = ()
    launch_s: Annotated[float, Quantity("launch", "s", zero=True)] = 0.0
    dispatch_s: Annotated[float, Quantity("dispatch", "s", zero=True)] = 0.0
    request_s: Annotated[float, Quantity("request", "s", zero=True)] = 0.0
    item_s: Annotated[float, Quantity("item", "s", zero=True)] = 0.0
    compile_s: Annotated[float, Quantity("compile", "s", zero=True)] = 0.0
    sequence_s: Annotated[float, Quantity("sequence", "s", zero=True)] = 0.0
    draw_bytes: Annotated[float, Quantity("draw", "bytes", zero=True)] = 0.0
    passes: Annotated[tuple[str, ...], Names("passes")] = ()
    weights_limit_bytes: Annotated[float, Quantity("weights_limit", "bytes")] = 0.0
    beyond: Annotated[str, Text("beyond")] = ""
    basis: Annotated[str, Choice("basis", ("calibrated", "family", "uncalibrated"))] = "uncalibrated"
    residuals: Annotated[tuple[ResidualSpec, ...], Key("residual")] = ()
    validated: Annotated[Mapping[str, float], Formats("validated", Ratio("", 0.0))] = field(default_factory=dict)
    fitted_to: Annotated[str, Text("fitted_to")] = ""
    assumption: Annotated[str, Text("assumption")] = ""
    extends: Annotated[str, Text("extends")] = ""


@cache
def stack_model(kind: str) -> type[SpecModel]:
    """The model of a stack that drives a device of that kind; raises UnknownNameError."""
    constants: dict[str, Any] = {
        f"{name}_": (parsed_by(marker.parse, marker.schema()), Field(default=None, alias=name))
        for name, marker in KINDS[kind].constants.items()
    }
    family: Any = create_model(f"{kind}_constants", __base__=SpecModel, **constants)
    passes = Names("passes", tuple(PASSES))
    fields: dict[str, Any] = {"passes_": (parsed_by(passes.parse, passes.schema()), Field(default=(), alias="passes"))}
    namespace = {
        "model_config": ConfigDict(extra="allow"),
        "__annotations__": {"__pydantic_extra__": dict[str, family]},
    }
    base: Any = types.new_class("Stack", (model_of(StackHead),), exec_body=lambda body: body.update(namespace))
    base.extras = family
    return extend(base, StackHead, fields)


def build_stack(name: str, model: SpecModel) -> SoftwareSpec:
    """The stack a model has read."""
    head = build(StackHead, model)
    kernels = {family: types.MappingProxyType(_given(found)) for family, found in (model.model_extra or {}).items()}
    return SoftwareSpec(
        name=name,
        launch_s=head.launch_s,
        dispatch_s=head.dispatch_s,
        request_s=head.request_s,
        item_s=head.item_s,
        compile_s=head.compile_s,
        sequence_s=head.sequence_s,
        draw_bytes=head.draw_bytes,
        kernels=types.MappingProxyType(kernels),
        residuals=head.residuals,
        passes=head.passes,
        timing=head.timing,
        weights_limit_bytes=head.weights_limit_bytes,
        beyond=head.beyond,
        basis=head.basis,
        validated=head.validated,
        fitted_to=head.fitted_to,
        assumption=head.assumption,
    )


def _given(family: SpecModel) -> dict[str, float]:
    return {name.removesuffix("_"): getattr(family, name) for name in sorted(family.model_fields_set)}


def resolved_stacks(device: Node, faults: Faults) -> Node:
    """The device with every ``extends:`` of its stacks replaced by what it stands for, families checked."""
    software = device.child("software")
    if software is None or not isinstance(software.value, dict):
        return device
    stacks = {name: _resolved(software, name, (), faults) for name in software.value}
    labels = dict.fromkeys((*Form, *kernel_labels()))
    for name, stack in stacks.items():
        _check_families(name, stack, labels, faults)
    return with_values(device, {"software": with_values(software, stacks)})


def _resolved(software: Node, name: str, chain: tuple[str, ...], faults: Faults) -> Node:
    stack: Node = software.value[name]
    parent = stack.child("extends")
    if parent is None:
        return stack
    path = f"software.{name}.extends"
    own = without(stack, ("extends",))
    if parent.value in (*chain, name):
        faults.add(parent.place, path, f"a cycle: {' -> '.join((*chain, name, parent.value))}; let one stand alone")
    elif not isinstance(parent.value, str) or parent.value not in software.value:
        hint = known_names(str(parent.value), software.value)
        faults.add(parent.place, path, f"no stack {shown(parent.value)} in this file{hint}")
    else:
        base = _resolved(software, parent.value, (*chain, name), faults)
        if isinstance(base.value, dict):
            return merged(without(base, ("timing", "validated", "residual")), own)
    return own


def _check_families(stack_name: str, stack: Node, labels: Collection[str], faults: Faults) -> None:
    if not isinstance(stack.value, dict):
        return
    for family, constants in stack.value.items():
        if family not in spec_fields(StackHead) and isinstance(constants.value, dict):
            _check_family(family, stack.keys[family], f"software.{stack_name}.{family}", labels, faults)
    validated = stack.child("validated")
    if validated is not None and isinstance(validated.value, dict):
        for family, place in validated.keys.items():
            _check_family(family, place, f"software.{stack_name}.validated.{family}", labels, faults)
    residuals = stack.child("residual")
    if residuals is not None and isinstance(residuals.value, list):
        for at, residual in enumerate(residuals.value):
            path = f"software.{stack_name}.residual[{at}]"
            for family, place in check_residuals(residual, path, faults):
                _check_family(family, place, f"{path}.of", labels, faults)


def _check_family(family: str, place: Place, path: str, labels: Collection[str], faults: Faults) -> None:
    """Note a kernel family that no Work has: an unknown label, or an ending that is no number format."""
    label, dot, ending = family.rpartition(".")
    if not dot:
        label, ending = family, ""
    if dot and ending not in FORMATS:
        hint = known_names(ending, FORMATS)
        text = f"'{ending}' is no number format{hint}. Write '{label or 'gemm'}' or '{label or 'gemm'}.fp16', say"
        faults.add(place, path, text)
    elif label not in labels:
        faults.add(place, path, f"no kernel family {shown(label)}{known_names(label, labels)}")
