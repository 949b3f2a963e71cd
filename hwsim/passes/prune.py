"""Structured pruning: whole channels leave, from the weights that make them to those that read them.

Channels that are added, multiplied or normalized together leave together: axes that must keep equal extents form
groups (Fang et al., DepGraph: Towards Any Structural Pruning, 2023, section 3). What the graph gives or takes, and
axes that some operator mixes in ways not known here, stay whole. Channels of least magnitude go first (Li et al.,
Pruning Filters for Efficient ConvNets, 2017, section 3.1) where the weights' values are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hwsim.errors import InputError
from hwsim.graph.absent import AbsentValues
from hwsim.graph.graph import Graph, Node
from hwsim.graph.operator import Array
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.passes.channels import Axis, channel_groups, is_depthwise
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter

__all__ = ["kept_channels", "prune"]

Kept = Mapping[Axis, Array]
"""For each axis that shrinks, the indices that stay."""


@TRANSFORMS.register("prune")
def prune(graph: Graph, ratio: float = 0.5, multiple: int = 1, weights: Mapping[str, Array] | None = None) -> Graph:
    """The graph without ``ratio`` of the channels of every group that can shrink.

    Args:
        graph: whose convolutions and linear layers shrink.
        ratio: share of channels to remove, from 0 to below 1.
        multiple: channels that stay are a multiple of this where there are as many, as array widths ask for.
        weights: their values; else those the graph brings along. Without either the last channels go.

    Raises:
        InputError: a ratio or multiple that makes no sense.
    """
    kept = kept_channels(graph, ratio, multiple, weights)
    new = Rewriter(graph)
    for name, tensor in list(new.tensors.items()):
        new.tensors[name] = _smaller(tensor, kept)
    made: dict[str, Tensor] = {n: _smaller(t, kept) for n, t in graph.tensors.items() if n in graph.producer}
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            new.keep(_fitted(graph, node, new.tensors | made))
            new.tensors.update({name: made[name] for name in node.outputs})
    values = {name: _sliced(name, value, graph.tensors[name], kept) for name, value in graph.values.items()}
    return replace(new.finish(), values=values)


def kept_channels(
    graph: Graph, ratio: float, multiple: int = 1, weights: Mapping[str, Array] | None = None
) -> dict[Axis, Array]:
    """The indices that stay of each (tensor, axis) that shrinks; raises InputError as :func:`prune` does."""
    if not 0 <= ratio < 1 or multiple < 1:
        raise InputError(f"prune: ratio is from 0 to below 1 and multiple at least 1, not {ratio:g} and {multiple}")
    kept: dict[Axis, Array] = {}
    for group in channel_groups(graph):
        extent = graph.tensors[group.axes[0][0]].shape[group.axes[0][1]]
        stay = max(1, round(extent * (1 - ratio)))
        stay = min(extent, -(-stay // multiple) * multiple)
        if stay == extent:
            continue
        magnitude = np.zeros(extent)
        for name, axis in group.makers:
            array = _value(graph, name, weights)
            if array is not None:
                others = tuple(i for i in range(array.ndim) if i != axis)
                magnitude += np.abs(array.astype(np.float64)).sum(axis=others)
        indices = np.sort(np.argsort(-magnitude, kind="stable")[:stay])
        kept.update(dict.fromkeys(group.axes, indices))
    return kept


def _value(graph: Graph, name: str, weights: Mapping[str, Array] | None) -> Array | None:
    if weights is not None and name in weights:
        return weights[name]
    known = graph.values.get(name)
    return None if known is None or isinstance(known, AbsentValues) else known()


def _smaller(tensor: Tensor, kept: Kept) -> Tensor:
    shape = tuple(len(kept[tensor.name, i]) if (tensor.name, i) in kept else d for i, d in enumerate(tensor.shape))
    return tensor if shape == tensor.shape else replace(tensor, type=replace(tensor.type, shape=shape))


def _fitted(graph: Graph, node: Node, tensors: Mapping[str, Tensor]) -> Node:
    """The node with the attributes that its smaller tensors ask for."""
    if is_depthwise(graph, node):
        return replace(node, op=replace(node.op, groups=tensors[node.inputs[0]].shape[1]))  # type: ignore[type-var]
    if isinstance(node.op, Reshape) and tensors[node.outputs[0]].shape != graph.tensors[node.outputs[0]].shape:
        return replace(node, op=Reshape(tensors[node.outputs[0]].shape))
    return node


def _sliced(name: str, value: Callable[[], Array], tensor: Tensor, kept: Kept) -> Callable[[], Array]:
    """What gives a weight's remaining values."""

    def smaller() -> Array:
        array = value()
        for axis in range(len(tensor.shape)):
            if (name, axis) in kept:
                array = np.take(array, kept[name, axis], axis)
        return array

    return smaller
