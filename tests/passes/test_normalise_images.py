"""Normalisation of images inside the graph: one node before the first convolution of colours, nothing elsewhere."""

from __future__ import annotations

from hwsim.graph.lowering import lower
from hwsim.graph.work import Map
from hwsim.passes import TRANSFORMS
from hwsim.workloads import WORKLOADS


def test_the_first_convolution_reads_what_is_normalised() -> None:
    """3 x 224 x 224 numbers of two bytes are read, with four vectors of three, and written: 2 operations each."""
    graph = WORKLOADS["mobilenet_v2"].build(dtype="fp16")
    new = TRANSFORMS["normalise_images"](graph)
    lowered = lower(new)
    (work,) = (work for work in lowered.works if work.kernel == "image_norm")
    assert isinstance(work, Map)
    assert (work.elements, work.flop) == (3 * 224 * 224, 2 * 3 * 224 * 224)
    assert len(new.nodes) == len(graph.nodes) + 1
    assert new.nodes[1].inputs[0] == new.nodes[0].outputs[0]


def test_a_graph_without_images_stays() -> None:
    graph = WORKLOADS["bert_base"].build(seq=16)
    assert TRANSFORMS["normalise_images"](graph).nodes == graph.nodes


def test_what_ai_hub_exports_normalises_once() -> None:
    graph = WORKLOADS["resnet50"].build(dtype="w8a8", passes="normalise_images")
    assert sum(work.kernel == "image_norm" for work in lower(graph).works) == 1
