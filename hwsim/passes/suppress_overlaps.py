"""Detectors that suppress overlaps themselves, behind what they find."""

from __future__ import annotations

from dataclasses import replace

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.graph.tensor import Tensor
from hwsim.operators.slice import Slice
from hwsim.operators.suppress_overlaps import SuppressOverlaps
from hwsim.operators.transpose import Transpose
from hwsim.passes.registry import TRANSFORMS
from hwsim.passes.rewrite import Rewriter

__all__ = ["suppress_overlaps"]


@TRANSFORMS.register("suppress_overlaps")
def suppress_overlaps(graph: Graph, kept: int = 20) -> Graph:
    """The graph whose result is the best ``kept`` boxes of each class in place of all.

    A detector yields boxes (batch, anchors, 4) and scores (batch, anchors, classes), or both joined along the axis of
    four and more, four sides (and maybe how sure they are) before the scores.

    Raises:
        InputError: the graph yields something else.
    """
    new = Rewriter(graph)
    last = len(graph.nodes) - 1
    result: Tensor | None = None
    for _, indices in new.phases():
        for index in indices:
            new.keep(graph.nodes[index])
            if index == last:
                result = new.add(SuppressOverlaps(kept), _found(new), "suppress_overlaps", graph.nodes[last])
    assert result is not None
    return replace(new.finish(), outputs=(result.name,))


def _found(new: Rewriter) -> tuple[Tensor, Tensor]:
    """Boxes and scores."""
    graph = new.graph
    made, like = [new.tensors[name] for name in graph.outputs], graph.nodes[-1]
    if len(made) == 2 and made[0].shape[-1] == 4 and len(made[0].shape) == len(made[1].shape) == 3:
        return made[0], made[1]
    if len(made) != 1 or len(made[0].shape) != 3 or min(made[0].shape[1:]) < 5:
        raise InputError(f"suppress_overlaps: '{graph.name}' does not yield boxes and scores of one set of anchors")
    (joint,) = made
    if joint.shape[1] < joint.shape[2]:
        joint = new.add(Transpose((0, 2, 1)), [joint], "anchors", like)
    columns = joint.shape[2]
    boxes = new.add(Slice(2, 0, 4), [joint], "anchor_boxes", like)
    return boxes, new.add(Slice(2, 4, columns), [joint], "anchor_scores", like)
