"""Weights of mixed precision: fp32 in memory, narrowed in each pass."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.work import Move
from hwsim.operators.linear import Linear
from hwsim.operators.mul import Mul
from hwsim.passes import PASSES


def _shared(dtype: str) -> Graph:
    """Two products with one weight of 16 x 16, and a scaling by another weight."""
    b = GraphBuilder("g")
    w = b.weight("w", (16, 16))
    x = b.add(Linear(), b.add(Linear(), b.input("x", (4, 16)), w, name="one"), w, name="two")
    return b.build([b.add(Mul(), x, b.weight("gain", (16,)), name="scaled")], dtype=dtype)


def test_a_weight_is_narrowed_once_by_a_kernel_of_its_own() -> None:
    """256 numbers, 4 bytes each read and 2 written; what is no product keeps its weight."""
    after = PASSES["cast_weights"](_shared("fp16"))
    assert [node.name for node in after.nodes] == ["one.narrowed", "one", "two", "scaled"]
    assert [(w.bytes_in, w.bytes_out) for w in lower(after).works if isinstance(w, Move)] == [(1024, 512)]
    assert after.tensors["gain"].type.format == "fp16"


def test_wide_weights_stay() -> None:
    graph = _shared("fp32")
    assert PASSES["cast_weights"](graph).nodes == graph.nodes


def test_values_stay() -> None:
    graph = _shared("fp16")
    generator = np.random.default_rng(4)
    given = {t.name: generator.standard_normal(t.shape) for t in graph.tensors.values() if t.name not in graph.producer}
    after = PASSES["cast_weights"](graph)
    assert np.allclose(
        *(list(run_reference(each, given).values())[-1] for each in (graph, after)), rtol=2e-2, atol=2e-2
    )
