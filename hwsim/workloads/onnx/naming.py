"""A graph whose outputs bear the names of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwsim.graph.graph import Graph

__all__ = ["renamed"]


def renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with some tensors under other names; a tensor that has such a name already gives way."""
    taken = set(names.values()) - set(names)
    new = {**names, **{name: f"{name}.inner" for name in graph.tensors if name in taken}}

    def name(old: str) -> str:
        return new.get(old, old)

    nodes = tuple(
        replace(n, inputs=tuple(map(name, n.inputs)), outputs=tuple(map(name, n.outputs))) for n in graph.nodes
    )
    tensors = {name(t.name): replace(t, name=name(t.name)) for t in graph.tensors.values()}
    values = {name(key): make for key, make in graph.values.items()}
    return replace(graph, nodes=nodes, tensors=tensors, outputs=tuple(map(name, graph.outputs)), values=values)
