"""Attention head by head: marked, never spelled out, the same values."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.work import Attention as AttentionWork
from hwsim.operators.attention import Attention
from hwsim.operators.relu import Relu
from hwsim.passes import PASSES, apply_passes
from hwsim.workloads import WORKLOADS


def _attention() -> Graph:
    b = GraphBuilder("g")
    q, k, v = (b.input(name, (1, 4, 5, 8)) for name in "qkv")
    return b.build([b.add(Relu(), b.add(Attention(), q, k, v))])


def test_attention_head_by_head_is_not_spelled_out() -> None:
    both = apply_passes(_attention(), ("heads_apart", "unfuse_attention"))
    assert [node.name for node in both.nodes] == ["attention", "relu"]
    assert len(apply_passes(_attention(), ("unfuse_attention",)).nodes) == 5


def test_no_tensor_of_all_heads_is_transposed() -> None:
    """Six a layer without the pass: queries, keys, values, results, and the decoder's keys and values (4 layers)."""
    graph = WORKLOADS["whisper_tiny"].build(phase="encode", dtype="fp16")
    counts = []
    for each in (graph, PASSES["heads_apart"](graph)):
        low = lower(each)
        counts.append(sum(n for work, n in zip(low.works, low.count(), strict=True) if work.kernel == "transpose"))
    assert counts[0] - counts[1] == 24


def test_values_are_kept() -> None:
    graph = _attention()
    generator = np.random.default_rng(0)
    inputs = {name: generator.standard_normal((1, 4, 5, 8)) for name in "qkv"}
    new = PASSES["heads_apart"](graph)
    assert np.array_equal(run_reference(graph, inputs)["relu"], run_reference(new, inputs)["relu"])


def test_a_workload_takes_the_pass_by_its_parameter() -> None:
    graph = WORKLOADS["whisper_tiny"].build(phase="encode", dtype="fp16", passes="heads_apart")
    spelled = apply_passes(graph, ("unfuse_attention",))
    assert sum(isinstance(work, AttentionWork) for work in lower(spelled).works) > 0


def test_a_head_on_its_own_reads_the_keys_of_its_group() -> None:
    """Four queries share one key head; apart, each reads it anew: 4 x 100 x 8 keys, as many values, in fp16."""
    b = GraphBuilder("g")
    q, k, v = (
        b.input(name, (1, heads, seq, 8), "fp16") for name, heads, seq in (("q", 4, 1), ("k", 1, 100), ("v", 1, 100))
    )
    graph = b.build([b.add(Attention(), q, k, v)])
    read = [lower(each).works[0].bytes_in for each in (graph, PASSES["heads_apart"](graph))]
    assert read == [2 * (32 + 2 * 800), 2 * (32 + 2 * 3200)]
