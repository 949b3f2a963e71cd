"""Transposes around fused attention become views; others stay."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.attention import Attention
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.transpose import Transpose
from hwsim.passes import PASSES


def _attention_block() -> Graph:
    """Heads split by reshape and transpose, rotated, attended to, and merged again."""
    b = GraphBuilder("block")
    heads = []
    for name in ("q", "k", "v"):
        x = b.input(name, (2, 6, 8), "fp32")
        split = b.add(Reshape((2, 6, 2, 4)), x, name=f"{name}_split")
        heads.append(b.add(Transpose((0, 2, 1, 3)), split, name=f"{name}_heads"))
    q = b.add(Rope(), heads[0])
    mixed = b.add(Attention(), q, heads[1], heads[2])
    merged = b.add(Transpose((0, 2, 1, 3)), mixed, name="merge")
    return b.build([b.add(Reshape((2, 6, 8)), merged, name="out")])


def test_transposes_around_attention_become_views() -> None:
    kinds = {node.name: node.op.kind for node in PASSES["strided_attention"](_attention_block()).nodes}
    assert [kinds[name] for name in ("q_heads", "k_heads", "v_heads", "merge")] == ["strided_view"] * 4


def test_a_transpose_for_another_reader_stays_a_copy() -> None:
    b = GraphBuilder("lone")
    x = b.input("x", (4, 8), "fp32")
    graph = b.build([b.add(Transpose((1, 0)), x)])
    assert PASSES["strided_attention"](graph).nodes[0].op.kind == "transpose"


def test_values_stay_the_same() -> None:
    graph = _attention_block()
    rng = np.random.default_rng(3)
    inputs = {name: rng.normal(size=(2, 6, 8)).astype(np.float32) for name in ("q", "k", "v")}
    (before,) = run_reference(graph, inputs).values()
    (after,) = run_reference(PASSES["strided_attention"](graph), inputs).values()
    np.testing.assert_array_equal(before, after)
