"""Segmenters cut where their scores are made: what labels the pixels of the whole image runs elsewhere."""

from __future__ import annotations

from dataclasses import replace

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.upsample import Resize
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter

__all__ = ["scores_only"]


@TRANSFORMS.register("scores_only")
def scores_only(graph: Graph) -> Graph:
    """The graph whose result is the coarse scores (batch, classes, height, width), neither enlarged nor compared.

    Raises:
        InputError: the graph does not end in an enlargement or in the label of each pixel.
    """
    cut: set[int] = set()
    (end, *others) = graph.outputs
    while (
        not others and end in graph.producer and isinstance(graph.nodes[graph.producer[end]].op, (ArgExtreme, Resize))
    ):
        cut.add(graph.producer[end])
        end = graph.nodes[graph.producer[end]].inputs[0]
    if not cut:
        raise InputError(f"scores_only: '{graph.name}' neither enlarges its scores at its end nor takes their largest")
    new = Rewriter(graph)
    for _, indices in new.phases():
        for index in indices:
            if index not in cut:
                new.keep(graph.nodes[index])
    return replace(new.finish(), outputs=(end,))
