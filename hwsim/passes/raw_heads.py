"""Detectors cut behind the last convolutions of each scale: what turns their results into boxes runs elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, Node
from hwsim.graph.tensor import Tensor
from hwsim.operators.clip import Clip
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.softmax import Softmax
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter

__all__ = ["raw_heads"]


@TRANSFORMS.register("raw_heads")
def raw_heads(graph: Graph, joined: bool = False) -> Graph:
    """The graph whose results are those of each scale, before they are decoded and put beside each other.

    A detector yields (batch, figures, anchors) or (batch, anchors, figures); results of four axes stay. Where a scale
    joins boxes and scores, the scores become probabilities (batch, classes, height, width) with a sum of them
    (batch, 1, height, width), at most one, which tells early which places hold nothing; so do probabilities that are
    results already. With ``joined`` each scale's figures leave in one tensor, without sums.

    Raises:
        InputError: the graph yields neither figures of anchors nor probabilities of places.
    """
    anchors = [name for name in graph.outputs if len(graph.tensors[name].shape) == 3]
    cut = _behind_heads(graph, anchors, joined=joined)
    heads = {name for i in cut for name in graph.nodes[i].inputs} & _made_outside(graph, cut)
    scores = {_before_sigmoid(graph, graph.nodes[i].inputs[-1]) for i in cut if _joins(graph, graph.nodes[i], heads)}
    certain = {name for name in graph.outputs if name not in anchors and _is_probability(graph, name)}
    if not cut and not certain:
        raise InputError(f"raw_heads: '{graph.name}' yields neither figures of anchors nor probabilities of places")
    new = Rewriter(graph)
    results: list[str] = []
    for _, indices in new.phases():
        for index in indices:
            node = graph.nodes[index]
            if index in cut:
                continue
            new.keep(node)
            for name in node.outputs:
                if name in scores:
                    shares = new.add(Sigmoid(), [new.tensors[name]], f"{node.name}.probabilities", node)
                    results += [shares.name, _sum(new, node, shares).name]
                elif name in heads or (name in graph.outputs and name not in anchors):
                    results.append(name)
                if name in certain:
                    results.append(_sum(new, node, new.tensors[name]).name)
    return replace(new.finish(), outputs=tuple(results))


def _behind_heads(graph: Graph, ends: Collection[str], *, joined: bool) -> set[int]:
    """Nodes between the ends and the convolutions before them; one over a distribution's bins decodes."""
    found: set[int] = set()
    waiting = list(ends)
    while waiting:
        name = waiting.pop()
        index = graph.producer.get(name)
        if index is None or index in found:
            continue
        node = graph.nodes[index]
        before = graph.producer.get(node.inputs[0])
        decodes = before is not None and isinstance(graph.nodes[before].op, Softmax)
        whole = joined and isinstance(node.op, Concat) and len(graph.tensors[name].shape) == 4
        if not whole and (decodes or not isinstance(node.op, Conv2d)):
            found.add(index)
            waiting += node.inputs
    return found


def _made_outside(graph: Graph, cut: Collection[int]) -> set[str]:
    return {name for index, node in enumerate(graph.nodes) if index not in cut for name in node.outputs}


def _before_sigmoid(graph: Graph, name: str) -> str:
    """What probabilities were before they were made such."""
    return graph.nodes[graph.producer[name]].inputs[0] if _is_probability(graph, name) else name


def _is_probability(graph: Graph, name: str) -> bool:
    index = graph.producer.get(name)
    return index is not None and isinstance(graph.nodes[index].op, Sigmoid) and graph.tensors[name].shape[1] > 1


def _joins(graph: Graph, node: Node, heads: Collection[str]) -> bool:
    """Whether a scale's boxes and scores meet there."""
    whole = isinstance(node.op, Concat) and len(graph.tensors[node.outputs[0]].shape) == 4
    return whole and len(node.inputs) > 1 and all(_before_sigmoid(graph, name) in heads for name in node.inputs)


def _sum(new: Rewriter, node: Node, shares: Tensor) -> Tensor:
    total = new.add(ReduceAxes("sum", (1,), True), [shares], f"{node.name}.sum", node)
    return new.add(Clip(low=0.0, high=1.0), [total], f"{node.name}.clipped", node)
