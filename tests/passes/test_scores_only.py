"""Segmenters cut where their scores are made."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.validation.names import EXPORTED
from hwsim.workloads import WORKLOADS


def _built(name: str) -> Graph:
    return WORKLOADS[name].build(dtype="w8a8", passes="scores_only")


def test_scores_are_neither_enlarged_nor_compared() -> None:
    """DeepLab's 21 scores of 513 x 513 pixels at output stride 8; the enlarging of its pooled branch stays."""
    whole, graph = WORKLOADS["deeplabv3_mobilenet_v2"].build(dtype="w8a8"), _built("deeplabv3_mobilenet_v2")
    assert [graph.tensors[end].shape for end in graph.outputs] == [(1, 21, 65, 65)]
    assert [node.op.kind for node in whole.nodes] == [
        *(node.op.kind for node in graph.nodes),
        "upsample",
        "arg_extreme",
    ]


def test_what_ends_in_no_enlargement_is_refused() -> None:
    with pytest.raises(InputError, match="'resnet18' neither enlarges"):
        _built("resnet18")


def test_rockchip_leaves_the_labels_of_deeplab_to_another_processor() -> None:
    assert EXPORTED["airockchip/rknn_model_zoo", "deeplab_v3_plus_mobilenet_v2"]["passes"] == "scores_only"
