"""Who feeds whom, as arrays: the part of a graph that placement and replay need, computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.graph.lowering import Lowered

__all__ = ["Topology", "topology"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topology:
    """Edges and tensors of a lowered graph.

    Views (reshapes) and in-place updates share the storage of their first input: ``root`` names the tensor
    that owns it. Columns over edges are ordered by consumer.

    Attributes:
        names: Of the tensors, in the graph's order.
        producer: Node that makes each tensor, -1 if it comes from outside, (tensors,).
        root: Index of the tensor whose storage it shares (itself, mostly), (tensors,).
        size_bytes: At the first repeat, (tensors,).
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
    place = {name: i for i, name in enumerate(names)}
    tensors = list(graph.tensors.values())
    producer = np.full(len(names), -1, dtype=np.int64)
    root = np.arange(len(names), dtype=np.int64)
    view = np.diff(lowered.row_start) == 0
    edge_tensor: list[int] = []
    edge_node: list[int] = []
    for index, node in enumerate(graph.nodes):
        shares = view[index] or getattr(node.op, "in_place", False)
        ids = [place[name] for name in node.inputs]
        edge_tensor.extend(ids)
        edge_node.extend([index] * len(ids))
        for name in node.outputs:
            out = place[name]
            producer[out] = index
            if shares and ids:
                root[out] = root[ids[0]]
    sizes = [t.type.size_bytes for t in tensors]
    steps = [t.at(1).size_bytes - s if t.step else 0 for t, s in zip(tensors, sizes, strict=True)]
    wanted = set(graph.outputs)
    return Topology(
        names=names,
        producer=producer,
        root=root,
        size_bytes=np.array(sizes, dtype=np.int64),
        step_bytes=np.array(steps, dtype=np.int64),
        role=np.array([ROLES.index(t.role) for t in tensors], dtype=np.int64),
        is_output=np.array([name in wanted for name in names], dtype=np.bool_),
        edge_tensor=np.array(edge_tensor, dtype=np.int64),
        edge_node=np.array(edge_node, dtype=np.int64),
        view=np.asarray(view),
    )
