"""RF-DETR: which blocks see the whole image, and what sampling between pixels gives."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import GraphBuilder
from hwsim.operators.attention import Attention
from hwsim.workloads import WORKLOADS
from hwsim.workloads.rf_detr import _sampled


def test_every_third_block_sees_all_windows() -> None:
    """280 pixels: 400 patches, 25 in each of 16 windows, which have a class token each; then 300 queries."""
    graph = WORKLOADS["rf_detr_base"].build(height=280, width=280)
    shapes = [graph.tensors[node.inputs[1]].shape for node in graph.nodes if isinstance(node.op, Attention)]
    windows, whole = (16, 6, 26, 64), (1, 6, 416, 64)
    assert shapes == [windows, windows, whole] * 4 + [(1, 8, 300, 32)] * 3


def test_a_sample_lies_between_the_four_pixels_around_it() -> None:
    """Two maps of 2 x 2 pixels, places as (across, down); beyond the edge the last pixel counts."""
    b = GraphBuilder("g")
    values, places = b.input("values", (8, 1)), b.input("places", (2, 3, 2))
    graph = b.build([_sampled(b, values, places, (2, 2))])
    given = {
        name: np.zeros(tensor.shape, np.float32) for name, tensor in graph.tensors.items() if tensor.role == "state"
    }
    ones = {"one0", "one1", "whole0", "whole1"}
    given |= {name: np.ones((1,), np.float32) for name in given if name in ones}
    given |= {"row": np.array([2.0], np.float32), "base": np.array([[[0.0]], [[4.0]]], np.float32)}
    given["values"] = np.arange(8, dtype=np.float32)[:, None]
    given["places"] = np.tile(np.array([[0.5, 0.5], [1.0, 0.0], [1.5, 1.0]], np.float32), (2, 1, 1))
    (found,) = [run_reference(graph, given)[name] for name in graph.outputs]
    assert found[:, :, 0].tolist() == [[1.5, 1.0, 3.0], [5.5, 5.0, 7.0]]
