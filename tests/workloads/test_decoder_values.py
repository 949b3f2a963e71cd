"""The graphs compute what they stand for: a decode step continues a prefill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph.graph import Graph
from hwsim.workloads import workload
from hwsim.workloads.decoder import Decoder, Run, decoder_graph
from hwsim.workloads.latent import Latent
from hwsim.workloads.state_space import StateSpace

LLAMA_LIKE = Decoder(layers=2, width=16, heads=4, kv_heads=2, hidden=24, vocab=50)
GPT_LIKE = Decoder(
    layers=2, width=16, heads=4, kv_heads=4, hidden=24, vocab=50,
    gated=False, norm="layer", bias=True, packed=True, positions=32, tied=True,
)  # fmt: skip
QWEN_LIKE = replace(LLAMA_LIKE, head_norm=True, joined=True, head_dim=6)
MIXTURE_LIKE = replace(QWEN_LIKE, experts=5, chosen=2, shared=8)
TURNS_LIKE = replace(MIXTURE_LIKE, between=12)
LATENT_LIKE = replace(
    LLAMA_LIKE, latent=Latent(query=10, cached=8, plain=6, turned=4, value=5), experts=5, chosen=2, plain=1, between=12
)
HYBRID_LIKE = replace(
    LLAMA_LIKE, layers=4, layout="M-*M", mixer=StateSpace(heads=4, dim=6, state=5, groups=2),
    gated=False, act="relu2", rotary=False,
)  # fmt: skip
Values = dict[str, NDArray[np.float64]]


def _values(graph: Graph, given: Mapping[str, NDArray[np.float64]]) -> Values:
    """Every tensor of the graph, from those given."""
    values = dict(given)
    for node in graph.nodes:
        made = node.op.reference(*(values[name] for name in node.inputs))
        values.update(zip(node.outputs, made, strict=True))
    return values


def _weights(graph: Graph) -> Values:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=t.shape) / 4 for name, t in graph.tensors.items() if t.role == "weight"}


def _graph(shape: Decoder, phase: str, seq: int) -> Graph:
    run = Run(phase=phase, batch=2, prompt=seq, context=seq, tokens=1, logits="last")  # type: ignore[arg-type]
    return decoder_graph("toy", shape, run)


@pytest.mark.parametrize(
    "shape",
    [LLAMA_LIKE, GPT_LIKE, QWEN_LIKE, MIXTURE_LIKE, TURNS_LIKE, LATENT_LIKE, HYBRID_LIKE],
    ids=["llama", "gpt", "qwen", "mixture", "turns", "latent", "hybrid"],
)
def test_a_decode_step_behind_a_prefill_gives_the_logits_of_the_longer_prefill(shape: Decoder) -> None:
    ids = np.random.default_rng(1).integers(0, 50, (2, 7))
    short, whole, step = _graph(shape, "prefill", 6), _graph(shape, "prefill", 7), _graph(shape, "decode", 6)
    weights = _weights(short)

    def prefill(graph: Graph, seq: int) -> Values:
        places = np.arange(seq)[None]
        return _values(graph, {**weights, "prompt_ids": ids[:, :seq], "prompt_positions": places})

    before, expected = prefill(short, 6), prefill(whole, 7)[whole.outputs[0]]
    caches = sorted(name for name, t in step.tensors.items() if t.role == "state")
    kept = dict(zip(caches, (before[name] for name in short.outputs[1:]), strict=True))
    found = _values(step, {**weights, **kept, "ids": ids[:, 6:], "positions": np.array([[6]])})
    np.testing.assert_allclose(found[step.outputs[0]], expected, rtol=1e-9, atol=1e-12)


def test_weights_joined_in_one_product_give_what_they_do_apart() -> None:
    ids = np.random.default_rng(1).integers(0, 50, (2, 7))
    apart, joined = _graph(LLAMA_LIKE, "prefill", 7), _graph(replace(LLAMA_LIKE, joined=True), "prefill", 7)
    weights = _weights(apart)
    both = {name: weights[name] for name in weights if name in joined.tensors}
    for layer in range(2):
        for name, parts in (("qkv", "qkv"), ("gate_up", ("gate", "up"))):
            pieces = [weights[f"layers.{layer}.{part}.weight"] for part in parts]
            both[f"layers.{layer}.{name}.weight"] = np.concatenate(pieces)
    given = {"prompt_ids": ids}
    expected = _values(apart, weights | given)[apart.outputs[0]]
    np.testing.assert_allclose(_values(joined, both | given)[joined.outputs[0]], expected, rtol=1e-9)


def test_ranks_hold_equal_shares_and_sum_up_the_embedding_and_twice_a_layer() -> None:
    shape = replace(LLAMA_LIKE, vocab=48)
    whole, share = _graph(shape, "prefill", 7), _graph(shape.divided(2), "prefill", 7)
    norms = 5 * 16
    assert share.parameters - norms == (whole.parameters - norms) // 2
    sums = [node for node in share.nodes if node.op.kind == "all_reduce"]
    assert len(sums) == 1 + 2 * shape.layers
    assert all(share.tensors[node.outputs[0]].shape == (2, 7, 16) for node in sums)
    with pytest.raises(InputError, match="cannot be divided among 3"):
        shape.divided(3)


def test_spread_experts_send_tokens_out_and_back() -> None:
    shape = replace(MIXTURE_LIKE, experts=8, shared=0)
    whole, share = _graph(shape, "prefill", 6), _graph(shape.spread_over(4), "prefill", 6)
    held = 2 * 8 * 3 * 24 * 16
    assert whole.parameters - share.parameters == held * 3 // 4
    kinds = [node.op.kind for node in share.nodes]
    assert kinds.count("all_to_all") == 2 * shape.layers
    with pytest.raises(InputError, match="5 experts cannot be divided"):
        MIXTURE_LIKE.spread_over(2)


def test_every_other_layer_may_be_plain() -> None:
    graph = _graph(TURNS_LIKE, "prefill", 6)
    held = {name.split(".")[1] for name, t in graph.tensors.items() if "experts" in name and t.role == "weight"}
    assert held == {"1"}
    assert graph.tensors["layers.0.down.weight"].shape == (16, 12)


def test_a_two_layer_perceptron_computes_its_formula() -> None:
    graph = workload("mlp", depth=2, batch=3, inputs=4, width=5, outputs=2)
    given = _weights(graph) | {"x": np.random.default_rng(2).normal(size=(3, 4))}
    w0, b0 = given["linear0.weight"], given["linear0.bias"]
    w1, b1 = given["linear1.weight"], given["linear1.bias"]
    expected = np.maximum(given["x"] @ w0.T + b0, 0) @ w1.T + b1
    np.testing.assert_allclose(_values(graph, given)[graph.outputs[0]], expected, rtol=1e-9)


def test_an_lstm_step_computes_its_formula() -> None:
    """PyTorch's definition of nn.LSTM, gates in the order i, f, g, o."""
    graph = workload("lstm", depth=1, batch=3, inputs=4, hidden=5, steps=2)
    rng = np.random.default_rng(3)
    x, h, c = rng.normal(size=(3, 4)), rng.normal(size=(3, 5)), rng.normal(size=(3, 5))
    given = _weights(graph) | {"x": x, "layer0.h": h, "layer0.c": c}
    w, u = given["layer0.input.weight"], given["layer0.recurrent.weight"]
    joint = x @ w.T + given["layer0.input.bias"] + h @ u.T + given["layer0.recurrent.bias"]
    i, f, g, o = np.split(joint, 4, axis=1)

    def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-z))

    cell = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    values = _values(graph, given)
    np.testing.assert_allclose(values[graph.outputs[1]], cell, rtol=1e-9)
    np.testing.assert_allclose(values[graph.outputs[0]], sigmoid(o) * np.tanh(cell), rtol=1e-9)
