"""Overlaps suppressed behind detectors of three layouts."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.workloads import WORKLOADS


def _built(name: str) -> Graph:
    return WORKLOADS[name].build(dtype="w8a8", passes="suppress_overlaps:kept=10")


@pytest.mark.parametrize(("name", "classes"), [("ssd_mobilenet_v1", 91), ("yolov6n_v2", 80), ("yolov5s_v2_wo_spp", 81)])
def test_the_best_boxes_of_each_class_are_left(name: str, classes: int) -> None:
    """YOLOv5 also says how sure it is that there is anything, which counts as one more."""
    graph = _built(name)
    assert [graph.tensors[end].shape for end in graph.outputs] == [(1, classes, 10, 5)]
    assert graph.nodes[-1].op.kind == "suppress_overlaps"


def test_what_finds_no_boxes_is_refused() -> None:
    with pytest.raises(InputError, match="'resnet18' does not yield boxes"):
        _built("resnet18")
