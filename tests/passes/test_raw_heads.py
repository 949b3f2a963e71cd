"""Detectors cut behind the last convolutions of each scale."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.validation.names import EXPORTED
from hwsim.workloads import WORKLOADS


def _shapes(graph: Graph) -> list[tuple[int, ...]]:
    return [graph.tensors[name].shape for name in graph.outputs]


def test_distributions_leave_as_they_are_and_scores_with_their_sum() -> None:
    """YOLOv8 for 64 x 64 pixels: 64 bins, 80 classes and one sum on 8 x 8, 4 x 4 and 2 x 2 places."""
    graph = WORKLOADS["yolov8n"].build(dtype="w8a8", height=64, width=64, passes="raw_heads")
    assert _shapes(graph) == [(1, channels, side, side) for side in (8, 4, 2) for channels in (64, 80, 1)]
    assert not [node for node in graph.nodes if node.op.kind == "softmax"]
    assert [graph.nodes[graph.producer[name]].op.kind for name in graph.outputs] == ["conv2d", "sigmoid", "clip"] * 3


def test_masks_stay() -> None:
    graph = WORKLOADS["yolov8n_seg"].build(dtype="w8a8", height=64, width=64, passes="raw_heads")
    assert _shapes(graph)[-1] == (1, 32, 16, 16)


def test_probabilities_that_are_results_already_get_their_sum() -> None:
    graph = WORKLOADS["ppyoloe_s"].build(dtype="w8a8", height=64, width=64, passes="raw_heads")
    assert _shapes(graph)[:3] == [(1, 80, 8, 8), (1, 1, 8, 8), (1, 68, 8, 8)]


def test_the_figures_of_a_scale_can_leave_joined() -> None:
    """YOLOX: four sides, one certainty, 80 classes."""
    graph = WORKLOADS["yolox_s"].build(dtype="w8a8", height=64, width=64, passes="raw_heads:joined=true")
    assert _shapes(graph) == [(1, 85, side, side) for side in (8, 4, 2)]


def test_what_finds_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="'resnet18' yields neither figures of anchors"):
        WORKLOADS["resnet18"].build(dtype="w8a8", passes="raw_heads")


def test_rockchip_decodes_the_boxes_of_yolo11_elsewhere() -> None:
    assert EXPORTED["airockchip/rknn_model_zoo", "yolo11n"]["passes"] == "raw_heads"
