"""The graphs compute what they stand for: a decode step continues a prefill."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.graph.graph import Graph
from hwsim.workloads import workload
from hwsim.workloads.decoder import Decoder, Run, decoder_graph

LLAMA_LIKE = Decoder(layers=2, width=16, heads=4, kv_heads=2, hidden=24, vocab=50)
GPT_LIKE = Decoder(
    layers=2, width=16, heads=4, kv_heads=4, hidden=24, vocab=50,
    gated=False, norm="layer", bias=True, packed=True, positions=32, tied=True,
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


@pytest.mark.parametrize("shape", [LLAMA_LIKE, GPT_LIKE], ids=["llama", "gpt"])
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
