"""Attention spelled out: same values, same products, scores in memory."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.relu import Relu
from hwsim.passes import PASSES
from tests.passes.drawn import drawn_inputs

unfuse = PASSES["unfuse_attention"]


def _attention(heads: int, kv_heads: int, seq_q: int, seq_kv: int, *, causal: bool, batch: int = 2) -> Graph:
    b = GraphBuilder("g")
    q = b.input("q", (batch, heads, seq_q, 8))
    k, v = (b.input(n, (batch, kv_heads, seq_kv, 8)) for n in "kv")
    return b.build([b.add(Relu(), b.add(Attention(causal), q, k, v))])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize(("seq_q", "seq_kv"), [(5, 5), (1, 6), (3, 7)])
def test_values_are_kept(causal: bool, heads: int, kv_heads: int, seq_q: int, seq_kv: int) -> None:
    graph = _attention(heads, kv_heads, seq_q, seq_kv, causal=causal)
    inputs = drawn_inputs(graph)
    assert np.allclose(run_reference(graph, inputs)["relu"], run_reference(unfuse(graph), inputs)["relu"])


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_a_bias_on_the_scores_becomes_a_sum_of_its_own(kv_heads: int) -> None:
    b = GraphBuilder("g")
    q = b.input("q", (2, 4, 5, 8))
    k, v = (b.input(n, (2, kv_heads, 5, 8)) for n in "kv")
    graph = b.build([b.add(Attention(), q, k, v, b.input("bias", (1, 4, 5, 5)))])
    inputs = drawn_inputs(graph, seed=1)
    assert "attention.bias" in {node.name for node in unfuse(graph).nodes}
    assert np.allclose(*(list(run_reference(each, inputs).values())[-1] for each in (graph, unfuse(graph))))


def test_kernels_are_named_after_the_attention() -> None:
    names = [node.name for node in unfuse(_attention(4, 4, 5, 5, causal=True)).nodes]
    assert names == [f"attention.{part}" for part in ("scores", "scale", "mask", "softmax", "values")] + ["relu"]


def test_a_single_query_needs_no_mask() -> None:
    assert "attention.mask" not in {node.name for node in unfuse(_attention(4, 4, 1, 5, causal=True)).nodes}


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_products_have_the_macs_of_the_fused_kernel_and_read_keys_once(kv_heads: int) -> None:
    graph = _attention(4, kv_heads, 5, 7, causal=False).with_scheme("fp16")
    after = unfuse(graph)
    assert after.macs == graph.macs
    scores = next(work for work in lower(after).works if work.kernel == "matmul")
    assert scores.b_elements == 2 * kv_heads * 7 * 8


def test_scores_are_written_and_read_by_each_kernel() -> None:
    """Batch 2, 4 heads, 5 x 5 halves: 400 bytes of scores from product to scale, mask, softmax and product."""
    works = {w.kernel: w for w in lower(unfuse(_attention(4, 4, 5, 5, causal=True).with_scheme("fp16"))).works}
    assert works["mul"].bytes_in == works["mul"].bytes_out == 400
    assert works["causal_mask"].bytes_in == 400 + 50
    assert works["softmax"].bytes_in == 400


@pytest.mark.parametrize("kv_heads", [4, 2])
def test_a_growing_cache_makes_the_scores_grow(kv_heads: int) -> None:
    b = GraphBuilder("g")
    b.phase("decode", repeat=5)
    q, new = b.input("q", (1, 4, 1, 8)), b.input("new", (1, kv_heads, 1, 8))
    keys = b.add(Append(2), b.state("cache", (1, kv_heads, 10, 8), step=(0, 0, 1, 0)), new)
    graph = b.build([b.add(Attention(causal=True), q, keys, keys)], dtype="fp16")
    after = unfuse(graph)
    assert after.tensors["attention.softmax"].step[-1] == 1
    assert after.macs == graph.macs
    assert after.phases[0].repeat == 5


def test_a_graph_without_attention_stays_as_it_is() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Relu(), b.input("x", (3,)))])
    assert unfuse(graph) == graph
