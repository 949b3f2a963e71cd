"""Turning what was typed into graphs."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.cli.console import say
from hwsim.errors import InputError, UnknownNameError
from hwsim.graph.graph import Graph
from hwsim.loading.library import is_path, list_scenarios
from hwsim.loading.scenario import load_scenario
from hwsim.workloads import find_workload, is_onnx

__all__ = ["graph_of", "named_workload", "only_device"]


def named_workload(
    what: str, assignments: Sequence[str], *, allow_unknown: bool = False
) -> tuple[str, dict[str, object]]:
    """Workload and parameters of a name, an ONNX file or a scenario, with ``NAME=VALUE`` texts applied.

    A name is a workload's first; one that no workload has may be a scenario's.

    Raises:
        InputError, UnknownNameError: no such workload, scenario or parameter.
    """
    name, params = what, dict[str, object]()
    if _is_scenario(what):
        spec = load_scenario(what).workload
        name, params = spec.name or spec.onnx, dict(spec.params)
        if spec.onnx:
            params.update(dict(params.pop("dims", {})))  # type: ignore[call-overload]  # read_workload checked it
    entry = find_workload(name)
    if allow_unknown:
        if not is_onnx(name):
            raise InputError(f"--allow-unknown is for ONNX files; {name} has no unknown operators")
        params["allow_unknown"] = True
    return name, {**params, **entry.parse_parameters(assignments)}


def _is_scenario(what: str) -> bool:
    if is_path(what):
        return not is_onnx(what)
    try:
        find_workload(what)
    except UnknownNameError:
        return what in list_scenarios()
    return False


def only_device(names: Sequence[str], command: str) -> str:
    """The one device that a command takes; raises InputError where several were given."""
    if len(names) > 1:
        raise InputError(
            f"{command} takes one device, not {', '.join(names)}; 'hwsim compare' sets several side by side"
        )
    return names[0]


def graph_of(what: str, assignments: Sequence[str], *, allow_unknown: bool = False) -> Graph:
    """The graph of a workload, of an ONNX file or of a scenario's workload; what it notes is said on stderr."""
    name, params = named_workload(what, assignments, allow_unknown=allow_unknown)
    graph = find_workload(name).build(**params)
    for note in graph.notes:
        say(f"{graph.name}: {note}")
    return graph
