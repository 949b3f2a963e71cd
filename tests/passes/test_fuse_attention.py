"""Attention spelled out and put together again: values, and what is no attention."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.attention import Attention
from hwsim.operators.causal_mask import CausalMask
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.passes import PASSES, apply_passes
from hwsim.workloads.registry import WORKLOADS
from tests.passes.drawn import drawn_inputs

fuse_attention = PASSES["fuse_attention"]


def _spelled(how: str, scale: float = 0.25, *, causal: bool = False) -> Graph:
    b = GraphBuilder("g")
    q, k, v = (b.input(n, (2, 3, s, 16)) for n, s in (("q", 5), ("k", 7), ("v", 7)))
    if how == "both sides":
        q, k = b.add(Mul(scale**0.5), q), b.add(Mul(scale**0.5), k)
    if how == "transposed":
        scores = b.add(Matmul(), q, b.add(Transpose((0, 1, 3, 2)), k))
    else:
        scores = b.add(Matmul(transpose_b=True), q, k)
    if how != "both sides":
        scores = b.add(Div(1 / scale), scores) if how == "divided" else b.add(Mul(scale), scores)
    if causal:
        scores = b.add(CausalMask(), scores)
    return b.build([b.add(Matmul(), b.add(Softmax(), scores), v, name="values")])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("how", ["plain", "divided", "transposed", "both sides"])
def test_attention_is_recognized_and_keeps_its_values(how: str, causal: bool) -> None:
    graph = _spelled(how, causal=causal)
    fused = fuse_attention(graph)
    (node,) = fused.nodes
    assert (node.name, node.op, node.inputs) == ("values", Attention(causal=causal), ("q", "k", "v"))
    inputs = drawn_inputs(graph)
    (one,), (two,) = (list(run_reference(g, inputs).values()) for g in (graph, fused))
    assert np.allclose(one, two, rtol=1e-9)


def test_another_scaling_or_a_score_that_others_read_is_no_attention() -> None:
    graph = _spelled("plain", 0.3)
    assert fuse_attention(graph) is graph
    b = GraphBuilder("g")
    q, k = b.input("q", (1, 1, 2, 16)), b.input("k", (1, 1, 2, 16))
    weights = b.add(Softmax(), b.add(Mul(0.25), b.add(Matmul(transpose_b=True), q, k)))
    graph = b.build([b.add(Matmul(), weights, k), weights])
    assert fuse_attention(graph) is graph


@pytest.mark.parametrize("name", ["bert_base", "vit_b_16"])
def test_it_is_the_opposite_of_unfusing(name: str) -> None:
    graph = WORKLOADS[name].build()
    again = apply_passes(graph, ["unfuse_attention", "fuse_attention"])
    assert [node.op.kind for node in again.nodes] == [node.op.kind for node in graph.nodes]
    assert again.macs == graph.macs
