"""Turning what was typed into graphs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.loading.library import is_path
from hwsim.loading.scenario import load_scenario
from hwsim.workloads.registry import WORKLOADS

__all__ = ["graph_of", "named_workload"]


def named_workload(what: str, assignments: Sequence[str]) -> tuple[str, dict[str, object]]:
    """Workload and parameters of a name, or of a scenario file, with ``NAME=VALUE`` texts applied.

    Raises:
        InputError, UnknownNameError: no such workload, scenario or parameter.
    """
    if Path(what).suffix == ".onnx":
        raise InputError(
            f"{what}: ONNX files are not read by this version; name a workload (hwsim workloads lists them)"
        )
    name, params = what, {}
    if is_path(what):
        spec = load_scenario(what).workload
        name, params = spec.name, dict(spec.params)
    return name, {**params, **WORKLOADS[name].parse_parameters(assignments)}


def graph_of(what: str, assignments: Sequence[str]) -> Graph:
    """The graph of a workload or of a scenario's workload."""
    name, params = named_workload(what, assignments)
    return WORKLOADS[name].build(**params)
