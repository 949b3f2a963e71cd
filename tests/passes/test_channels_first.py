"""Images channels first around tensor cores: two copies a convolution, the same values."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.work import Move
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.relu import Relu
from hwsim.passes import PASSES, apply_passes


def _block(dtype: str) -> Graph:
    """A convolution of 4 channels to 8 over 6 x 6 pixels, and a ReLU behind it."""
    b = GraphBuilder("g")
    x = b.add(Conv2d(padding=(1, 1)), b.input("x", (2, 4, 6, 6)), b.weight("w", (8, 4, 3, 3)), name="conv")
    return b.build([b.add(Relu(), x, name="relu")], dtype=dtype)


def test_a_tf32_convolution_stands_between_copies_of_its_input_and_output() -> None:
    """2 x 4 x 36 numbers of 4 bytes are read and written before it, 2 x 8 x 36 after it."""
    lowered = lower(PASSES["channels_first"](_block("tf32")))
    moves = [work for work in lowered.works if isinstance(work, Move)]
    assert [(move.bytes_in, move.bytes_out) for move in moves] == [(1152, 1152), (2304, 2304)]
    assert [node.name for node in lowered.graph.nodes][-1] == "relu"


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_vector_units_take_any_order_and_16_bit_networks_turn_as_a_whole(dtype: str) -> None:
    graph = _block(dtype)
    assert PASSES["channels_first"](graph).nodes == graph.nodes


def test_values_stay() -> None:
    graph = _block("tf32")
    generator = np.random.default_rng(3)
    given = {t.name: generator.standard_normal(t.shape) for t in graph.tensors.values() if t.name not in graph.producer}
    after = apply_passes(graph, ("channels_first",))
    assert np.allclose(*(list(run_reference(each, given).values())[-1] for each in (graph, after)))
