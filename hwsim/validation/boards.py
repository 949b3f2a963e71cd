"""Chips measured on boards whose processor takes over what they cannot run."""

from __future__ import annotations

from functools import cache

from hwsim import flow
from hwsim.graph.graph import Graph
from hwsim.loading import library
from hwsim.loading.system import load_system
from hwsim.report.result import Result
from hwsim.specs.system import SystemSpec

__all__ = ["board_of", "run_on_board"]


@cache
def board_of(measured: str, device: str) -> SystemSpec | None:
    """The system that measured data call so, if it holds that device and a processor beside it."""
    for name in library.list_systems():
        system = load_system(name)
        kinds = {spec.kind for spec in system.devices.values() if spec.name != device}
        if library.is_called(measured, system.aliases) and len(kinds) == 1 and "cpu" in kinds:
            return system
    return None


def run_on_board(graph: Graph, board: SystemSpec) -> Result:
    """A graph on the first device that supports each operator, the processor last, as delegates of runtimes do."""
    return flow.simulate(graph, board, policy="providers", limited=False)
