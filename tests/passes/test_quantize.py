"""Quantization: where nodes go, what is stored, that values stay near, and that integers agree with QDQ."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.functional.calibrate import calibrated
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.add import Add
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.embedding import Embedding
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.relu import Relu
from hwsim.operators.softmax import Softmax
from hwsim.passes import PASSES
from hwsim.passes.quantize import quantize
from hwsim.workloads.registry import WORKLOADS

fuse_quantized = PASSES["fuse_quantized"]


def _snr_db(reference: np.ndarray, found: np.ndarray) -> float:
    error = np.square(reference - found).sum()
    return math.inf if error == 0 else 10 * math.log10(np.square(reference).sum() / error)


def _inputs(graph: Graph) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        t.name: generator.standard_normal(t.shape).astype(np.float32)
        for t in graph.tensors.values()
        if t.role == "input"
    }


def _mlp() -> Graph:
    b = GraphBuilder("mlp")
    x = b.input("x", (8, 32))
    x = b.add(Relu(), b.add(Linear(), x, b.weight("w1", (64, 32)), b.weight("b1", (64,)), name="one"))
    return b.build([b.add(Linear(), x, b.weight("w2", (16, 64)), name="two")])


def test_a_calibrated_product_reads_integers_and_stores_integer_weights() -> None:
    graph = _mlp()
    quantized = quantize(graph, "w8a8", calibrated(graph, [_inputs(graph)]))
    assert [node.name for node in quantized.nodes] == [
        "x.quantized",
        "x.dequantized",
        "w1.quantized",
        "w1.dequantized",
        "one",
        "relu",
        "relu.quantized",
        "relu.dequantized",
        "w2.quantized",
        "w2.dequantized",
        "two",
    ]
    assert quantized.with_scheme("fp16").weight_bytes == 64 * 32 + 16 * 64 + 2 * 64


def test_products_and_what_surrounds_them_become_integer_kernels() -> None:
    graph = _mlp()
    fused = fuse_quantized(quantize(graph, "w8a8", calibrated(graph, [_inputs(graph)])))
    assert [node.name for node in fused.nodes] == [
        "x.quantized",
        "w1.quantized",
        "one+relu+relu.quantized",
        "w2.quantized",
        "two",
    ]
    works = [work for work in lower(fused.with_scheme("fp16")).works if work.kernel == "linear"]
    assert [(w.a_format, w.b_format, w.compute_format, w.out_format) for w in works] == [
        ("int8", "int8", "int8", "int8"),
        ("int8", "int8", "int8", "fp16"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "least_db"), [("w8a8", 30), ("w8a16", 35), ("w4a16", 14), ("fp8_w8a8", 22), ("nvfp4", 12), ("tf32", 60)]
)
@pytest.mark.parametrize("name", [pytest.param("resnet18", marks=pytest.mark.slow), "mobilenet_v2"])
def test_values_stay_near_and_integer_kernels_agree_with_qdq(name: str, scheme: str, least_db: float) -> None:
    graph = WORKLOADS[name].build(height=32, width=32)
    inputs = _inputs(graph)
    (reference,) = run_reference(graph, inputs).values()
    quantized = quantize(graph, scheme, calibrated(graph, [inputs]))
    (found,) = run_reference(quantized, inputs).values()
    (fused,) = run_reference(fuse_quantized(quantized), inputs).values()
    assert _snr_db(reference, found) > least_db
    assert _snr_db(found, fused) > 45  # a sum that ends near a tie may round the other way


def test_a_transformer_is_quantized_around_its_products() -> None:
    graph = WORKLOADS["bert_base"].build(seq=8)
    ids = {t.name: np.zeros(t.shape, np.int32) for t in graph.tensors.values() if t.role == "input"}
    quantized = fuse_quantized(quantize(graph, "w8a8"))
    kinds = [node.op.kind for node in quantized.nodes]
    assert kinds.count("linear") == [node.op.kind for node in graph.nodes].count("linear")
    assert quantized.macs == graph.macs
    assert ids


def test_no_calibration_takes_the_range_of_drawn_values() -> None:
    graph = _mlp()
    inputs = _inputs(graph)
    (reference,) = run_reference(graph, inputs).values()
    (found,) = run_reference(quantize(graph, "w8a8"), inputs).values()
    assert 20 < _snr_db(reference, found) < 50


def test_activations_on_the_right_get_no_zero_point() -> None:
    b = GraphBuilder("scores")
    q, k = b.input("q", (2, 4, 8)), b.input("k", (2, 4, 8))
    graph = b.build([b.add(Softmax(), b.add(Matmul(transpose_b=True), q, k))])
    inputs = {name: np.abs(array) for name, array in _inputs(graph).items()}
    quantized = quantize(graph, "w8a8", calibrated(graph, [inputs]))
    grids = {node.name: node.op.grid for node in quantized.nodes if hasattr(node.op, "grid")}
    assert grids["q.quantized"].zero == (-128,)
    assert not grids["k.quantized"].zero
    (fused,) = [node for node in fuse_quantized(quantized).nodes if node.op.kind == "matmul"]
    assert fused.inputs == ("q.quantized", "k.quantized")


def test_a_tensor_that_several_products_read_is_rounded_once() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (4, 8))
    graph = b.build([b.add(Add(), *(b.add(Linear(), x, b.weight(n, (8, 8)), name=n.upper()) for n in "qk"))])
    names = [node.name for node in quantize(graph).nodes]
    assert names.count("x.quantized") == 1
    assert len(names) == 9


def test_an_embedding_that_is_also_a_product_keeps_its_format() -> None:
    b = GraphBuilder("tied")
    table = b.weight("table", (20, 8))
    x = b.add(Embedding(), b.input("ids", (3,), "int32"), table)
    graph = b.build([b.add(Linear(), x, table)])
    assert quantize(graph).tensors["table"].type.format == "auto"


def test_groups_of_weights_are_stored_in_four_bits() -> None:
    quantized = quantize(_mlp(), "w4a16")
    assert quantized.tensors["w1"].type.format == "int4"
    assert [node.name for node in quantized.nodes] == ["w1.rounded", "one", "relu", "w2.rounded", "two"]
    assert lower(quantized.with_scheme("fp16")).works[0].compute_format == "fp16"


@pytest.mark.parametrize("scheme", ["fp16", "fp32", "bf16"])
def test_plain_schemes_need_no_nodes(scheme: str) -> None:
    graph = _mlp()
    assert quantize(graph, scheme) is graph


def test_percentile_calibration_ignores_outliers() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Linear(), b.input("x", (8, 32)), b.weight("w", (16, 32)))])
    inputs = _inputs(graph)
    inputs["x"][0, 0] = 1000.0

    def error(ranges: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float:
        (reference,) = run_reference(graph, inputs).values()
        (found,) = run_reference(quantize(graph, "w8a8", ranges), inputs).values()
        return float(np.abs(reference - found)[1:].mean())

    assert error(calibrated(graph, [inputs], method="percentile", percentile=99.5)) < 0.1 * error(
        calibrated(graph, [inputs])
    )


def test_calibration_sees_channels_of_weights_and_extremes_of_activations() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Conv2d(), b.input("x", (1, 1, 2, 2)), b.weight("w", (2, 1, 1, 1)))])
    given = {"x": np.array([[[[1.0, -3.0], [2.0, 0.5]]]]), "w": np.array([4.0, -5.0]).reshape(2, 1, 1, 1)}
    ranges = calibrated(graph, [given, {**given, "x": given["x"] - 1}])
    assert [edge.tolist() for edge in ranges["x"]] == [[-4.0], [2.0]]
    assert [edge.tolist() for edge in ranges["w"]] == [[4.0, -5.0], [4.0, -5.0]]


def test_what_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="w8a8"):
        quantize(_mlp(), "w8a9")
    with pytest.raises(InputError, match="minmax, percentile"):
        calibrated(_mlp(), [_inputs(_mlp())], method="entropy")
    with pytest.raises(InputError, match="above 50"):
        calibrated(_mlp(), [_inputs(_mlp())], method="percentile", percentile=20)
