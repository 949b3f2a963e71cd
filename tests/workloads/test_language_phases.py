"""Phases of language models: prefill, decode at a context, and generation with a growing cache."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError
from hwsim.graph.lowering import lower
from hwsim.workloads import workload

TOY = {"layers": 3, "width": 32, "heads": 4, "kv_heads": 2, "hidden": 48, "vocab": 100}
LINEAR = 3 * (32 * 32 + 2 * 32 * 16 + 32 * 32 + 3 * 32 * 48)
"""MACs of the toy's projections and MLPs for one token: q, k and v, out, gate, up and down in three layers."""


@pytest.mark.parametrize("context", [1, 7, 512])
def test_a_decode_step_attends_to_its_context_and_itself(context: int) -> None:
    """Two products of 4 heads x 8 features with context + 1 keys in 3 layers, and a vocabulary of 100."""
    graph = workload("llm", phase="decode", context=context, **TOY)
    assert graph.macs == LINEAR + 3 * 2 * 32 * (context + 1) + 32 * 100


def test_a_prefill_scores_only_the_last_token_unless_asked() -> None:
    last = workload("llm", phase="prefill", prompt=10, **TOY)
    everything = workload("llm", phase="prefill", prompt=10, logits="all", **TOY)
    assert last.macs == 10 * LINEAR + 3 * 2 * 32 * 10 * 10 + 32 * 100
    assert everything.macs - last.macs == 9 * 32 * 100


def test_a_prompt_of_one_token_needs_no_slice() -> None:
    graph = workload("llm", phase="prefill", prompt=1, **TOY)
    assert "slice" not in {node.op.kind for node in graph.nodes}


@pytest.mark.parametrize("count", ["macs", "flop"])
def test_a_generation_is_a_prefill_and_decodes_at_growing_contexts(count: str) -> None:
    graph = workload("llm", phase="generate", prompt=5, tokens=4, batch=2, **TOY)
    parts = [workload("llm", phase="prefill", prompt=5, batch=2, **TOY)]
    parts += [workload("llm", phase="decode", context=5 + step, batch=2, **TOY) for step in range(4)]
    assert getattr(graph, count) == sum(getattr(part, count) for part in parts)


def test_the_work_of_each_decode_step_equals_that_of_a_decode_at_its_context() -> None:
    generation = lower(workload("llm", phase="generate", prompt=5, tokens=4, dtype="fp16", **TOY))
    phase = generation.graph.phases[1]
    rows = generation.row_ids[generation.row_start[phase.first] : generation.row_start[phase.last]]
    for step in range(4):
        alone = lower(workload("llm", phase="decode", context=5 + step, dtype="fp16", **TOY))
        assert [generation.at(row, step) for row in rows] == [alone.works[row] for row in alone.row_ids]


def test_the_cache_grows_by_one_token_a_step() -> None:
    graph = workload("llm", phase="generate", prompt=5, tokens=4, batch=2, **TOY)
    cache = graph.tensors["cache.layers.0.k"]
    assert (cache.role, cache.shape, cache.at(3).shape) == ("state", (2, 2, 5, 8), (2, 2, 8, 8))


def test_a_single_decode_step_keeps_its_cache_as_it_is() -> None:
    assert workload("llm", phase="decode", context=9, **TOY).tensors["cache.layers.2.v"].step == ()


def test_writing_the_cache_moves_only_the_new_token() -> None:
    lowered = lower(workload("llm", phase="decode", context=512, dtype="fp16", **TOY))
    moves = [work for work in lowered.works if work.kernel == "append"]
    assert {work.bytes_out for work in moves} == {2 * 8 * 2}


def test_both_phases_of_a_generation_share_their_weights() -> None:
    alone = workload("llm", phase="decode", **TOY)
    assert workload("llm", phase="generate", **TOY).parameters == alone.parameters


def test_tied_embeddings_are_counted_once() -> None:
    assert workload("llm", **TOY).parameters - workload("llm", tied=True, **TOY).parameters == 32 * 100


def test_a_prefill_hands_out_its_keys_and_values() -> None:
    graph = workload("llm", phase="prefill", prompt=6, **TOY)
    assert [graph.tensors[name].shape for name in graph.outputs[1:]] == [(1, 2, 6, 8)] * 6


@pytest.mark.parametrize(
    ("phase", "items", "info"),
    [
        ("prefill", 20, {"batch": 2, "prompt_tokens": 10}),
        ("decode", 2, {"batch": 2, "context_tokens": 30, "generated_tokens": 1}),
        ("generate", 8, {"batch": 2, "prompt_tokens": 10, "generated_tokens": 4}),
    ],
)
def test_items_are_the_tokens_of_all_sequences(phase: str, items: int, info: dict[str, float]) -> None:
    graph = workload("llm", phase=phase, batch=2, prompt=10, context=30, tokens=4, **TOY)
    assert (graph.items, graph.item, dict(graph.info)) == (items, "token", info)


def test_phases_are_named_and_repeated() -> None:
    graph = workload("gpt2", prompt=8, tokens=3)
    assert [(phase.name, phase.repeat) for phase in graph.phases] == [("prefill", 1), ("decode", 3)]


def test_gpt2_has_no_more_than_1024_positions() -> None:
    workload("gpt2", prompt=1000, tokens=24)
    with pytest.raises(InputError, match="'gpt2' has 1024 positions, but this run needs 1025"):
        workload("gpt2", prompt=1000, tokens=25)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(InputError, match="parameter 'heads' must divide 'width' 32, which 5 does not"):
        workload("llm", **{**TOY, "heads": 5})


def test_key_heads_must_divide_the_heads() -> None:
    with pytest.raises(InputError, match="parameter 'kv_heads' must divide 'heads' 4, which 3 does not"):
        workload("llm", **{**TOY, "kv_heads": 3})


def test_whisper_makes_its_cross_keys_once() -> None:
    graph = workload("whisper_tiny", tokens=9)
    assert [(phase.name, phase.repeat) for phase in graph.phases] == [("encode", 1), ("prompt", 1), ("decode", 9)]
    makers = [node for node in graph.nodes if node.name.endswith("cross_k")]
    assert len(makers) == 4


def test_whisper_transcribes_in_as_many_macs_as_its_parts() -> None:
    whole = workload("whisper_tiny", tokens=3)
    decodes = sum(workload("whisper_tiny", phase="decode", context=4 + step).macs for step in range(3))
    prompt = whole.macs - decodes - workload("whisper_tiny", phase="encode").macs
    d, vocab = 384, 51_865
    per_token = 4 * (4 * d * d + 2 * d * d + 8 * d * d + 2 * 1500 * d + 2 * 4 * d)
    assert prompt == 4 * per_token + d * vocab


def test_whisper_refuses_more_than_448_tokens() -> None:
    with pytest.raises(InputError, match="must be at most 448, not 449"):
        workload("whisper_tiny", prompt=4, tokens=445)


def test_a_prompt_read_in_pieces_costs_the_macs_of_the_whole() -> None:
    """Attention sees what is cached: two halves of a prompt, the second behind the first, score a quarter less."""
    whole = workload("tinyllama_1_1b", phase="prefill", prompt=256, logits="all")
    halves = [workload("tinyllama_1_1b", phase="prefill", prompt=128, past=past, logits="all") for past in (0, 128)]
    products = 22 * 2 * 32 * 64 * 256 * 256  # two products of 32 heads of 64 in 22 layers, causal masks not deducted
    assert whole.macs - sum(half.macs for half in halves) == products // 4


def test_pieces_are_for_prefill_alone() -> None:
    with pytest.raises(InputError, match="'past' is for phase=prefill"):
        workload("tinyllama_1_1b", phase="generate", past=4)
