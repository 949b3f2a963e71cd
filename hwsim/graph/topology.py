"""Who feeds whom, as arrays: the part of a graph that placement and replay need, computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Lowered
from hwsim.graph.tensor import Tensor

__all__ = ["Topology", "topology"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """Edges and tensors of a lowered graph.

    Views (reshapes) and in-place updates share the storage of their first input: ``root`` names the tensor
    that owns it. A view of one tensor also shows its values: ``source`` names the tensor whose values they are. Columns
    over edges are ordered by consumer.

    Attributes:
        names: Of the tensors, in the graph's order.
        producer: Node that makes each tensor, -1 if it comes from outside, (tensors,).
        root: Index of the tensor whose storage it shares (itself, mostly), (tensors,).
        source: Index of the tensor whose values it shows (itself, unless it is a view of one tensor), (tensors,).
        size_bytes: At the first repeat, (tensors,). Storage that grows in place is as large as what is written to it.
        step_bytes: Growth at each repeat, (tensors,).
        role: Index into ROLES: activation, input, weight, state, (tensors,).
        is_output: Whether the graph returns it, (tensors,).
        edge_tensor: Tensor of each edge, (edges,).
        edge_node: Consumer node of each edge, (edges,).
        view: Whether a node is a view, which no device executes, (nodes,).
    """

    names: tuple[str, ...]
    producer: IntArray
    root: IntArray
    source: IntArray
    size_bytes: IntArray
    step_bytes: IntArray
    role: IntArray
    is_output: NDArray[np.bool_]
    edge_tensor: IntArray
    edge_node: IntArray
    view: NDArray[np.bool_]


ROLES = ("activation", "input", "weight", "state")


def topology(lowered: Lowered) -> Topology:
    """The arrays of a lowered graph."""
    graph = lowered.graph
    names = tuple(graph.tensors)
    tensors = list(graph.tensors.values())
    place = dict(zip(names, range(len(names)), strict=True))
    view = np.diff(lowered.row_start) == 0
    edge_tensor = np.array([place[name] for node in graph.nodes for name in node.inputs], dtype=np.int64)
    fan_in = np.array([len(node.inputs) for node in graph.nodes], dtype=np.int64)
    made = np.array([place[name] for node in graph.nodes for name in node.outputs], dtype=np.int64)
    fan_out = np.array([len(node.outputs) for node in graph.nodes], dtype=np.int64)
    producer = np.full(len(names), -1, dtype=np.int64)
    producer[made] = np.repeat(np.arange(len(fan_out)), fan_out)
    wanted = set(graph.outputs)
    root, source = _shared(graph, view, place)
    return Topology(
        names=names,
        producer=producer,
        root=root,
        source=source,
        size_bytes=_grown(_sizes(tensors), root, source),
        step_bytes=np.array([t.at(1).size_bytes - t.type.size_bytes if t.step else 0 for t in tensors], dtype=np.int64),
        role=np.array([_ROLE[t.role] for t in tensors], dtype=np.int64),
        is_output=np.array([name in wanted for name in names], dtype=np.bool_),
        edge_tensor=edge_tensor,
        edge_node=np.repeat(np.arange(len(fan_in)), fan_in),
        view=np.asarray(view),
    )


_ROLE = {role: code for code, role in enumerate(ROLES)}


def _sizes(tensors: Sequence[Tensor]) -> IntArray:
    """Bytes of each tensor; each type is asked once."""
    known: dict[int, int] = {}
    sizes = []
    for tensor in tensors:
        key = id(tensor.type)
        if key not in known:
            known[key] = tensor.type.size_bytes
        sizes.append(known[key])
    return np.array(sizes, dtype=np.int64)


def _grown(size: IntArray, root: IntArray, source: IntArray) -> IntArray:
    """Sizes in which what is updated in place is as large as the update leaves it."""
    written = np.flatnonzero((root != np.arange(len(root))) & (source == np.arange(len(root))))
    np.maximum.at(size, root[written], size[written])
    return size


def _shared(graph: Graph, view: NDArray[np.bool_], place: Mapping[str, int]) -> tuple[IntArray, IntArray]:
    """(root, source): outputs of views and of in-place updates lie in their first input."""
    root = np.arange(len(place), dtype=np.int64)
    source = root.copy()
    in_place = np.array([getattr(node.op, "in_place", False) for node in graph.nodes], dtype=np.bool_)
    for index in np.flatnonzero(view | in_place).tolist():
        node = graph.nodes[index]
        for name in node.outputs if node.inputs else ():
            first, out = place[node.inputs[0]], place[name]
            root[out] = root[first]
            if view[index] and len(node.inputs) == 1:
                source[out] = source[first]
    return root, source
