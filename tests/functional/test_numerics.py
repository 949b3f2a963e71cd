"""Numerical error of number formats: by hand, the order of formats, what is shared, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.functional.numerics import Numerics, synthetic_inputs
from hwsim.functional.run import folded, run_reference, weight_values
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.embedding import Embedding
from hwsim.operators.fake_quantize import FakeQuantize
from hwsim.operators.linear import Linear
from hwsim.operators.mul import Mul
from hwsim.operators.relu import Relu
from hwsim.passes.backward import backward
from hwsim.passes.mixed_precision import mixed_precision
from hwsim.passes.quantize import quantize
from hwsim.passes.sparsify import sparsify
from hwsim.workloads.registry import WORKLOADS


def _mlp() -> Graph:
    b = GraphBuilder("mlp")
    x = b.add(Relu(), b.add(Linear(), b.input("x", (4, 64)), b.weight("w1", (128, 64)), b.weight("b1", (128,))))
    return b.build([b.add(Linear(), x, b.weight("w2", (10, 128)))])


def test_the_error_of_one_rounded_weight_by_hand() -> None:
    """Y = 3 w with w = 1 + 2^-9: bf16 keeps 1 + 2^-7 as its next number, so y is 3 instead of 3.00586."""
    b = GraphBuilder("one")
    graph = b.build([b.add(Linear(), b.input("x", (1, 1)), b.weight("w", (1, 1)))])
    graph = replace(graph, values={"w": lambda: np.array([[1 + 2.0**-9]])})
    found = Numerics(graph, inputs=1).error("bf16")
    x = synthetic_inputs(graph, 0, 0)["x"]
    (exact,) = run_reference(graph, {"x": x}).values()
    (rounded,) = run_reference(graph.with_scheme("bf16"), {"x": x}).values()
    assert found.snr_db == pytest.approx(10 * math.log10(exact.item() ** 2 / (exact.item() - rounded.item()) ** 2))
    assert found.cosine == pytest.approx(1.0)
    assert found.top1_agreement is None


def test_fewer_bits_mean_more_noise() -> None:
    study = Numerics(_mlp(), inputs=4)
    errors = {name: study.error(name) for name in ("fp16", "bf16", "w8a8", "w8a16", "fp8_w8a8", "w4a16", "nvfp4")}
    decibels = {name: error.snr_db for name, error in errors.items()}
    assert decibels["fp16"] > decibels["bf16"] > decibels["w8a8"] > decibels["fp8_w8a8"] > decibels["w4a16"] > 10
    assert decibels["w8a16"] > decibels["w8a8"]
    assert all(0.9 < error.cosine <= 1 and error.inputs == 4 for error in errors.values())
    assert errors["fp16"].top1_agreement == 1.0


def test_fp32_differs_from_itself_by_nothing() -> None:
    assert Numerics(_mlp(), inputs=2).error("fp32").snr_db == math.inf


def test_a_format_that_overflows_has_no_signal_left() -> None:
    huge = replace(_mlp(), values={"w1": lambda: np.full((128, 64), 1e5), "w2": lambda: np.ones((10, 128))})
    found = Numerics(huge, inputs=1).error("fp16")
    assert (found.snr_db, found.cosine) == (-math.inf, 0.0)
    assert Numerics(huge, inputs=1).error("bf16").snr_db > 30


def test_two_studies_say_the_same_and_another_seed_something_else() -> None:
    one, two, other = (Numerics(_mlp(), inputs=2, seed=seed).error("w8a8") for seed in (3, 3, 4))
    assert one == two
    assert one != other


def test_a_graph_in_another_format_is_compared_like_one_in_none() -> None:
    assert Numerics(_mlp().with_scheme("fp16"), inputs=2).error("w8a8") == Numerics(_mlp(), inputs=2).error("w8a8")


def test_a_changed_graph_is_held_against_the_plain_one() -> None:
    study = Numerics(_mlp(), inputs=2)
    sparse, mixed = sparsify(_mlp(), "2:4"), mixed_precision(_mlp(), "w4a16", 0.5)
    assert study.error("fp32", _mlp()).snr_db == math.inf
    assert 3 < study.error("fp32", sparse).snr_db < 15
    assert study.error("fp16").snr_db > study.error("fp16", mixed).snr_db > study.error("w4a16").snr_db
    with pytest.raises(InputError, match="other outputs than mlp"):
        study.error("fp16", backward(_mlp()))


def test_calibration_may_cut_off_outliers() -> None:
    plain = Numerics(_mlp(), inputs=2).error("w8a8")
    cut = Numerics(_mlp(), inputs=2, calibration="percentile", percentile=97).error("w8a8")
    assert cut.snr_db < plain.snr_db - 3  # normal values have no outliers worth cutting


def test_indices_stay_within_their_table() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Embedding(), b.input("ids", (500,), "int32"), b.weight("table", (7, 3)))])
    ids = synthetic_inputs(graph, 0, 0)["ids"]
    assert (ids.min(), ids.max()) == (0, 6)


@pytest.mark.slow
def test_networks_of_language_and_images_can_be_compared() -> None:
    for name, at in (("bert_base", {"seq": 8}), ("mobilenet_v2", {"height": 32, "width": 32})):
        assert Numerics(WORKLOADS[name].build(**at), inputs=1).error("w8a8").snr_db > 10


def test_what_depends_on_weights_alone_is_computed_once() -> None:
    b = GraphBuilder("g")
    w = b.weight("w", (3, 3))
    b.phase("first")
    y = b.add(Linear(), b.input("x", (2, 3)), b.add(FakeQuantize(), b.add(Mul(2.0), w)))
    b.phase("second", repeat=2)
    graph = b.build([b.add(Relu(), y)])
    weights = weight_values(graph)
    rest, values = folded(graph, weights)
    assert [node.op.kind for node in rest.nodes] == ["linear", "relu"]
    assert [(p.name, p.first, p.last, p.repeat) for p in rest.phases] == [("first", 0, 1, 1), ("second", 1, 2, 2)]
    x = {"x": np.ones((2, 3), np.float32)}
    assert np.array_equal(*(next(iter(r.values())) for r in (run_reference(graph, x), run_reference(rest, values | x))))


def test_folding_a_quantized_network_keeps_its_values() -> None:
    graph = quantize(_mlp(), "w8a8")
    x = synthetic_inputs(graph, 0, 0)
    rest, values = folded(graph, weight_values(graph))
    assert len(rest.nodes) < len(graph.nodes)
    (one,), (two,) = (list(r.values()) for r in (run_reference(graph, x), run_reference(rest, values | x)))
    assert np.array_equal(one, two)


def test_networks_too_large_for_numpy_are_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match="8,030,261,248 weights in NumPy"):
        Numerics(WORKLOADS["llama3_8b"].build())
    with pytest.raises(InputError, match=r"at: \{height: 64, width: 64\}"):
        Numerics(WORKLOADS["vgg16"].build(batch=64))
    with pytest.raises(UnknownNameError, match="number format or scheme"):
        Numerics(_mlp()).error("w7a7")
