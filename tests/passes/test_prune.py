"""Structured pruning: which channels leave together, that what stays computes the same, sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.functional.run import run_reference, weight_values
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.add import Add
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.gelu import Gelu
from hwsim.operators.gemm import Gemm
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.passes.prune import kept_channels, prune
from hwsim.workloads.registry import WORKLOADS


def _residual() -> Graph:
    """Two convolutions whose outputs are added, one of them depthwise behind a third."""
    b = GraphBuilder("g")
    x = b.input("x", (1, 3, 6, 6))
    one = b.add(Conv2d(), x, b.weight("a", (8, 3, 1, 1)))
    two = b.add(Conv2d(), x, b.weight("b", (8, 3, 1, 1)), b.weight("bias", (8,)))
    two = b.add(Conv2d(padding=(1, 1), groups=8), two, b.weight("d", (8, 1, 3, 3)))
    y = b.add(Conv2d(), b.add(Relu(), b.add(Add(), one, two)), b.weight("e", (6, 8, 1, 1)))
    vectors = [b.weight("g", (6,)), b.weight("h", (6,)), b.state("m", (6,)), b.state("v", (6,))]
    y = b.add(GlobalAverage(), b.add(BatchNorm(), y, *vectors))
    return b.build([b.add(Gemm(transpose_b=True), y, b.weight("f", (5, 6)), b.weight("c", (5,)))])


def test_channels_that_meet_leave_together_and_readers_shrink_with_them() -> None:
    pruned = prune(_residual(), 0.5)
    shapes = {name: t.shape for name, t in pruned.tensors.items() if t.role in ("weight", "state")}
    assert shapes == {
        "a": (4, 3, 1, 1),
        "b": (4, 3, 1, 1),
        "bias": (4,),
        "d": (4, 1, 3, 3),
        "e": (3, 4, 1, 1),
        "g": (3,),
        "h": (3,),
        "m": (3,),
        "v": (3,),
        "f": (5, 3),
        "c": (5,),
    }
    assert pruned.tensors[pruned.outputs[0]].shape == (1, 5)


def _same_as_zeroed(graph: Graph, ratio: float = 0.5) -> None:
    """What stays computes what the whole network does when the channels that leave are zero."""
    values = weight_values(graph)
    values |= {t.name: np.linspace(0.5, 1.5, t.shape[0]) for t in graph.tensors.values() if t.role == "state"}
    kept = kept_channels(graph, ratio, weights=values)
    assert kept
    inputs = {
        t.name: np.random.default_rng(0).standard_normal(t.shape) for t in graph.tensors.values() if t.role == "input"
    }
    zeroed, small = dict(values), dict(values)
    for (name, axis), indices in kept.items():
        if name not in values:
            continue
        gone = np.setdiff1d(np.arange(graph.tensors[name].shape[axis]), indices)
        zeroed[name] = zeroed[name].copy()
        zeroed[name][(slice(None),) * axis + (gone,)] = 0.5 if graph.tensors[name].role == "state" else 0
        small[name] = np.take(small[name], indices, axis)
    pruned = prune(graph, ratio, weights=values)
    (one,) = run_reference(graph, {**inputs, **zeroed}).values()
    (two,) = run_reference(pruned, {**inputs, **small}).values()
    assert np.allclose(one, two, rtol=1e-6, atol=1e-9)


def test_what_stays_computes_what_it_did() -> None:
    _same_as_zeroed(_residual())
    _same_as_zeroed(_residual(), 0.2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mobilenet_v3_small"])
def test_whole_networks_shrink_and_compute_what_they_did(name: str) -> None:
    _same_as_zeroed(WORKLOADS[name].build(height=32, width=32))


def test_only_the_hidden_features_of_a_transformer_block_leave() -> None:
    b = GraphBuilder("g")
    x = b.add(LayerNorm(), b.input("x", (2, 4, 8)), b.weight("g", (8,)), b.weight("h", (8,)))
    y = b.add(Gelu(), b.add(Linear(), x, b.weight("up", (32, 8)), b.weight("bias", (32,))))
    graph = b.build([b.add(LayerNorm(), b.add(Add(), x, b.add(Linear(), y, b.weight("down", (8, 32)))))])
    shapes = {n: t.shape for n, t in prune(graph, 0.75).tensors.items() if t.role == "weight"}
    assert shapes == {"g": (8,), "h": (8,), "up": (8, 8), "bias": (8,), "down": (8, 8)}
    _same_as_zeroed(graph, 0.75)


def test_products_with_matrices_and_means_pass_channels_on() -> None:
    b = GraphBuilder("g")
    y = b.add(Conv2d(), b.input("x", (2, 3, 4, 4)), b.weight("a", (8, 3, 1, 1)))
    y = b.add(Matmul(), b.add(ReduceAxes("mean", (2, 3)), y), b.weight("b", (8, 6)))
    graph = b.build([b.add(Matmul(transpose_b=True), y, b.weight("c", (5, 6)))])
    shapes = {n: t.shape for n, t in prune(graph, 0.5).tensors.items() if t.role == "weight"}
    assert shapes == {"a": (4, 3, 1, 1), "b": (4, 3), "c": (5, 3)}
    _same_as_zeroed(graph)


def test_the_least_channels_go_first() -> None:
    b = GraphBuilder("g")
    y = b.add(Linear(), b.input("x", (1, 2)), b.weight("w", (4, 2)))
    graph = b.build([b.add(Linear(), y, b.weight("v", (3, 4)))])
    w = np.array([[1.0, 1.0], [3.0, -3.0], [0.1, 0.0], [2.0, 2.0]])
    assert kept_channels(graph, 0.5, weights={"w": w})["v", 1].tolist() == [1, 3]
    brought = replace(graph, values={"w": lambda: w, "v": lambda: np.arange(12.0).reshape(3, 4)})
    pruned = prune(brought, 0.5)
    assert pruned.values["w"]().tolist() == [[3, -3], [2, 2]]
    assert pruned.values["v"]()[0].tolist() == [1, 3]


def test_channels_that_stay_can_be_a_multiple_of_the_arrays_width() -> None:
    assert prune(_residual(), 0.7, multiple=4).tensors["a"].shape == (4, 3, 1, 1)
    assert prune(_residual(), 0.7).tensors["a"].shape == (2, 3, 1, 1)


def test_joined_and_reshaped_channels_stay_whole() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (1, 3, 2, 2))
    y = b.add(Concat(1), b.add(Conv2d(), x, b.weight("a", (4, 3, 1, 1))), x)
    y = b.add(Conv2d(), y, b.weight("b", (6, 7, 1, 1)))
    graph = b.build([b.add(Linear(), b.add(Reshape((1, -1)), y), b.weight("c", (5, 24)))])
    assert prune(graph, 0.5).tensors == graph.tensors


def test_ninety_per_cent_of_the_weights_can_leave_and_time_falls_by_less() -> None:
    graph = WORKLOADS["resnet50"].build(dtype="fp16")
    pruned = prune(graph, 0.7)
    assert pruned.parameters < 0.12 * graph.parameters
    ratio = hwsim.estimate(graph, "hexagon_v75").time_s / hwsim.estimate(pruned, "hexagon_v75").time_s
    assert 2 < ratio < 9


def test_what_cannot_be_asked_for_is_refused() -> None:
    for options in ({"ratio": 1.0}, {"ratio": -0.1}, {"multiple": 0}):
        with pytest.raises(InputError, match="ratio is from 0 to below 1"):
            prune(_residual(), **options)
