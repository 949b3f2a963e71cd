"""Shards of a denoiser compute what the undivided graph computes, and exchange what the papers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.functional.ranks import run_ranks
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower
from hwsim.graph.tensor import Tensor
from hwsim.graph.work import Collective, Move
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.matmul import Matmul
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.passes import apply_passes
from hwsim.passes.parallel import sequence_parallel
from hwsim.workloads.dc_autoencoder import gated_conv_mlp, linear_attention
from hwsim.workloads.dit import (
    embedded_vector,
    final_layer,
    gated_residual,
    modulated_norm,
    modulation,
    patches,
    unpatched,
)
from hwsim.workloads.layers import attention, linear
from hwsim.workloads.mmdit import Joint, double_block, rope_on_image, single_block
from hwsim.workloads.sampling import Guidance, PipelineBuilder, denoise, finish

WIDTH, HEADS, SIDE, TEXT = 32, 8, 8, 6
Network = Callable[[PipelineBuilder, Tensor, Tensor, Tensor], Tensor]


def pipeline(network: Network, text: int = TEXT) -> Graph:
    """Three phases around a small denoiser: 8 x 8 latents of 4 channels are 64 tokens."""
    b = PipelineBuilder("toy")
    b.phase("text_encoder")
    context = linear(b, b.input("text", (2, text, WIDTH)), WIDTH, name="encoder")
    latents, time = b.input("latents", (2, 4, SIDE, SIDE)), b.input("time", (2, WIDTH))

    def denoiser(x: Tensor) -> Tensor:
        with b.scope("transformer"):
            return network(b, x, context, time)

    y = denoise(b, latents, denoiser, steps=3, guidance=Guidance.NONE)
    b.phase("vae_decode")
    y = b.add(Add(1.0), y, name="decoded")
    return finish(
        b, y, item="image", steps=3, guidance=Guidance.NONE, info={"tokens": SIDE * SIDE, "text_tokens": text}
    )


def _out(b: PipelineBuilder, x: Tensor, tokens: Tensor, vector: Tensor) -> Tensor:
    shift, scale = modulation(b, vector, WIDTH, 2, "modulation_out")
    return unpatched(b, final_layer(b, tokens, scale, shift, 4), 4, *x.shape[2:], 1)


def crossing(b: PipelineBuilder, x: Tensor, text: Tensor, time: Tensor) -> Tensor:
    """Self-attention with rotary positions, and attention to text, as Wan and PixArt have it."""
    tokens = b.add(Add(), patches(b, x, WIDTH, 1), b.state("positions", (1, SIDE * SIDE, WIDTH)), name="positioned")
    shift, scale, gate = modulation(b, time, WIDTH, 3)
    y = attention(b, modulated_norm(b, tokens, scale, shift), HEADS, rope=Rope(interleaved=True), name="self")
    tokens = gated_residual(b, tokens, y, gate)
    tokens = b.add(Add(), tokens, attention(b, tokens, HEADS, context=text, name="cross"), name="read")
    return _out(b, x, tokens, time)


def joint(b: PipelineBuilder, x: Tensor, text: Tensor, time: Tensor) -> Tensor:
    """A double and a single block, as Flux has them: text joins the image in attention."""
    image, vector = patches(b, x, WIDTH, 1), embedded_vector(b, time, WIDTH)
    text = linear(b, text, WIDTH, name="context_embed")
    rope = Rope(interleaved=True)
    image, text = double_block(b, image, text, vector, Joint(heads=HEADS, text_first=True, rope=rope))
    tokens = b.add(Concat(1), text, image, name="tokens")
    tokens = single_block(b, tokens, vector, HEADS, lambda t, n: b.add(rope, t, name=f"{n}_rope"))
    image = b.add(Slice(1, text.shape[1], tokens.shape[1]), tokens, name="image_tokens")
    return _out(b, x, image, vector)


def turned_image(b: PipelineBuilder, x: Tensor, text: Tensor, time: Tensor) -> Tensor:
    """A single block whose image tokens alone are turned, as HunyuanVideo has it."""
    tokens = b.add(Concat(1), patches(b, x, WIDTH, 1), text, name="tokens")
    tokens = single_block(b, tokens, time, HEADS, lambda t, n: rope_on_image(b, t, SIDE * SIDE, Rope(), n))
    return _out(b, x, b.add(Slice(1, 0, SIDE * SIDE), tokens, name="image_tokens"), time)


def convolving(b: PipelineBuilder, x: Tensor, _: Tensor, time: Tensor) -> Tensor:
    """Linear attention and a feed-forward of convolutions, as Sana has them."""
    tokens = patches(b, x, WIDTH, 1)
    heads = []
    for part in "qkv":
        y = b.add(Transpose((0, 2, 1)), linear(b, tokens, WIDTH, name=part), name=f"{part}_first")
        heads.append(b.add(Reshape((2, 2, WIDTH // 2, SIDE * SIDE)), y, name=f"{part}_heads"))
    y = b.add(Reshape((2, WIDTH, SIDE, SIDE)), linear_attention(b, *heads), name="image")
    y = gated_conv_mlp(b, y, 2 * WIDTH)
    y = b.add(Transpose((0, 2, 1)), b.add(Reshape((2, WIDTH, SIDE * SIDE)), y, name="flat"), name="tokens")
    return _out(b, x, b.add(Add(), tokens, y, name="sum"), time)


def unruled(b: PipelineBuilder, x: Tensor, _: Tensor, time: Tensor) -> Tensor:
    """Scores written out: no rule knows them, so they run on the whole."""
    tokens = patches(b, x, WIDTH, 1)
    scores = b.add(Softmax(), b.add(Matmul(transpose_b=True), tokens, tokens, name="scores"), name="weights")
    return _out(b, x, b.add(Matmul(), scores, tokens, name="values"), time)


NETWORKS: dict[str, Network] = {f.__name__: f for f in (crossing, joint, turned_image, convolving, unruled)}
SPLITS = [(2, 1), (1, 2), (4, 1), (1, 4), (2, 2), (8, 1), (2, 4)]


def _inputs(graph: Graph) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {n: rng.normal(size=t.shape) for n, t in graph.tensors.items() if t.role == "input"}


@pytest.mark.parametrize(("ulysses", "ring"), SPLITS)
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_shards_reassembled_equal_the_undivided_graph(name: str, ulysses: int, ring: int) -> None:
    for text in (TEXT + 1, TEXT + 2):
        graph = pipeline(NETWORKS[name], text)
        inputs = _inputs(graph)
        (expected,) = run_reference(graph, inputs).values()
        divided = sequence_parallel(graph, ulysses=ulysses, ring=ring)
        found = run_ranks(divided, inputs, ulysses * ring)
        for rank in found:
            np.testing.assert_allclose(*rank.values(), expected, rtol=1e-5, atol=1e-6)


def test_shards_of_a_graph_that_a_framework_runs_compute_the_same() -> None:
    graph = apply_passes(pipeline(crossing), ["strided_attention", "spell_out"])
    inputs = _inputs(graph)
    (expected,) = run_reference(graph, inputs).values()
    for rank in run_ranks(sequence_parallel(graph, ulysses=2, ring=2), inputs, 4):
        np.testing.assert_allclose(*rank.values(), expected, rtol=1e-4, atol=1e-5)


def _collectives(graph: Graph) -> list[tuple[str, int, int]]:
    lowered = lower(graph.with_scheme("fp16"))
    works = [lowered.works[i] for i in lowered.row_ids.tolist()]
    return [(w.kernel, w.bytes, w.participants) for w in works if isinstance(w, Collective)]


def test_ulysses_exchanges_queries_keys_values_and_results_once_each() -> None:
    """2 images of 64 tokens and 32 features in fp16 are 8,192 bytes, a quarter on each of 4 ranks."""
    found = _collectives(sequence_parallel(pipeline(crossing), ulysses=4))
    assert found == [("all_to_all", 2048, 4)] * 4 + [("all_gather", 2 * 64 * 4 * 2, 4)]


def test_a_ring_passes_keys_and_values_one_time_less_than_it_has_ranks() -> None:
    found = _collectives(sequence_parallel(pipeline(crossing), ring=4))
    assert found == [("send", 2048, 4)] * 6 + [("all_gather", 2 * 64 * 4 * 2, 4)]


def test_a_sum_over_tokens_is_completed_by_an_all_reduce_and_windows_fetch_rows() -> None:
    """Two heads are not divided among four ranks: 17 x 16 sums in fp32 for each of 2 x 2 heads."""
    found = _collectives(sequence_parallel(pipeline(convolving), ulysses=4))
    assert [kind for kind, *_ in found] == ["all_reduce", "halo", "all_gather"]
    assert found[0][1] == 2 * 2 * 17 * 16 * 4


def test_linear_attention_exchanges_heads_for_tokens_as_the_other_kind_does() -> None:
    """2 images of 64 tokens and 32 features in fp16 are 8,192 bytes, half on each of 2 ranks."""
    found = _collectives(sequence_parallel(pipeline(convolving), ulysses=2))
    assert found[:4] == [("all_to_all", 4096, 2)] * 4
    assert [kind for kind, *_ in found[4:]] == ["halo", "all_gather"]


def test_linear_attention_sends_narrow_keys_and_values_round_the_ring() -> None:
    """A quarter of 8,192 bytes in fp16, although the products are in fp32; every step multiplies with the queries."""
    graph = sequence_parallel(pipeline(convolving), ring=4)
    assert [each for each in _collectives(graph) if each[0] == "send"] == [("send", 2048, 4)] * 6
    steps = [node.name for node in graph.nodes if node.name.startswith("transformer.values_by_queries.step")]
    assert len(steps) == 4


def test_each_rank_has_its_share_of_the_products() -> None:
    graph = pipeline(crossing)
    alone, shared = (g.with_scheme("fp16") for g in (graph, sequence_parallel(graph, ulysses=4)))
    assert shared.macs < 0.4 * alone.macs
    assert [phase.ranks for phase in shared.phases] == [4, 4, 1]


def test_text_is_cut_as_far_as_the_ranks_divide_it() -> None:
    def rows(text: int) -> int:
        graph = sequence_parallel(pipeline(joint, text), ulysses=4)
        (tokens,) = (t for n, t in graph.tensors.items() if n == "transformer.tokens")
        return tokens.shape[1]

    assert rows(8) == 2 + 16
    assert rows(7) == 1 + 3 + 16
    assert rows(3) == 3 + 16


def _reading(b: PipelineBuilder, x: Tensor, text: Tensor, time: Tensor) -> Tensor:
    tokens = patches(b, x, WIDTH, 1)
    text = linear(b, text, WIDTH, name="text_embed")
    return _out(b, x, b.add(Add(), tokens, attention(b, tokens, 4, context=text, name="cross"), name="read"), time)


def test_text_that_is_only_read_is_cut_where_the_pipeline_says_so() -> None:
    """8 tokens of 32 features in fp16 for 2 images are 1,024 bytes, a quarter on each of 4 ranks; queries are 8 x."""
    graph = pipeline(_reading, 8)
    whole, cut = (replace(graph, info={**graph.info, **more}) for more in ({}, {"divided_text_tokens": 8}))
    assert [kind for kind, *_ in _collectives(sequence_parallel(whole, ulysses=4))] == ["all_gather"]
    found = _collectives(sequence_parallel(cut, ulysses=4))
    assert [size for kind, size, _ in found if kind == "all_to_all"] == [2048, 256, 256, 2048]
    inputs = _inputs(cut)
    (expected,) = run_reference(cut, inputs).values()
    for rank in run_ranks(sequence_parallel(cut, ulysses=2, ring=2), inputs, 4):
        np.testing.assert_allclose(*rank.values(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["crossing", "convolving"])
@pytest.mark.parametrize(("ulysses", "ring"), [(2, 1), (1, 2), (2, 2)])
def test_every_shared_attention_packs_its_queries_once_and_copies_eight_times(
    name: str, ulysses: int, ring: int
) -> None:
    graph = sequence_parallel(pipeline(NETWORKS[name]), ulysses=ulysses, ring=ring)
    lowered = lower(graph.with_scheme("fp16"))
    copies = [
        work.kernel
        for work, owner in (
            (lowered.works[i], graph.nodes[n].name) for i, n in zip(lowered.row_ids, lowered.node_of, strict=True)
        )
        if owner.endswith(("packed", "unpacked")) and isinstance(work, Move)
    ]
    assert copies.count("pack_queries") == 1
    assert len(copies) == 8
    exchanged = [node.name for node in graph.nodes if node.op.kind in ("all_to_all", "shard") and ".q" in node.name]
    assert bool(exchanged) is (ulysses > 1)


def test_attention_to_a_ranks_keys_has_a_label_of_its_own() -> None:
    lowered = lower(sequence_parallel(pipeline(crossing), ring=2).with_scheme("fp16"))
    kernels = [lowered.works[i].kernel for i in lowered.row_ids.tolist()]
    assert kernels.count("attention_part") == 2


def test_keys_and_values_may_pass_through_a_cache() -> None:
    """Joined and copied out again; what comes out is the same."""
    graph = pipeline(crossing)
    cached = replace(graph, info={**graph.info, "cached_keys": 1})
    names = [{n.name.rpartition(".")[2] for n in sequence_parallel(g, ring=2).nodes} for g in (graph, cached)]
    assert "cached" in names[1] - names[0]
    inputs = _inputs(cached)
    (expected,) = run_reference(cached, inputs).values()
    for rank in run_ranks(sequence_parallel(cached, ring=2), inputs, 2):
        np.testing.assert_allclose(*rank.values(), expected, rtol=1e-4, atol=1e-5)


def test_heads_that_only_read_text_need_not_be_divided() -> None:
    """Two heads on four ranks: each rank's tokens read all the text with all heads, and nothing is exchanged."""

    def reading(b: PipelineBuilder, x: Tensor, text: Tensor, time: Tensor) -> Tensor:
        tokens = patches(b, x, WIDTH, 1)
        return _out(b, x, b.add(Add(), tokens, attention(b, tokens, 2, context=text, name="cross"), name="read"), time)

    found = _collectives(sequence_parallel(pipeline(reading), ulysses=4))
    assert [kind for kind, *_ in found] == ["all_gather"]


def test_one_rank_leaves_the_graph_as_it_is() -> None:
    graph = pipeline(crossing)
    assert sequence_parallel(graph) is graph


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ulysses": 16}, "16 ranks do not divide the 8 heads"),
        ({"ring": 3}, "3 ranks do not divide the 64 tokens"),
        ({"ring": 0}, "at least 1"),
    ],
)
def test_ranks_that_do_not_divide_the_work_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sequence_parallel(pipeline(crossing), **changes)


def test_a_graph_without_a_denoiser_is_refused() -> None:
    b = PipelineBuilder("plain")
    with pytest.raises(InputError, match="no denoiser"):
        sequence_parallel(b.build([linear(b, b.input("x", (1, 4)), 4)]), ring=2)
