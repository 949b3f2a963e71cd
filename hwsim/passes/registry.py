"""The passes by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hwsim.graph.graph import Graph
from hwsim.registry import Registry

__all__ = ["PASSES", "apply_passes"]

PASSES: Registry[Callable[[Graph], Graph]] = Registry("graph pass")
"""Every graph pass by its name."""


def apply_passes(graph: Graph, names: Iterable[str]) -> Graph:
    """The graph after those passes, in order; raises UnknownNameError."""
    for name in names:
        graph = PASSES[name](graph)
    return graph
