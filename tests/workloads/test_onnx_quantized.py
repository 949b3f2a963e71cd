"""Quantized ONNX files: QDQ and QLinear forms become products on integers, and compute what ONNX says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower

onnx = pytest.importorskip("onnx")
helper, numpy_helper = onnx.helper, onnx.numpy_helper

_generator = np.random.default_rng(0)
W = _generator.integers(-127, 128, (6, 4, 3, 3)).astype(np.int8)
V = _generator.integers(-127, 128, (6, 5)).astype(np.int8)
BIAS = _generator.integers(-2000, 2000, 6).astype(np.int32)
CONSTANTS = {
    "xs": np.float32(0.02),
    "xz": np.uint8(130),
    "w": W,
    "ws": np.linspace(0.001, 0.002, 6, dtype=np.float32),
    "wz": np.zeros(6, np.int8),
    "b": BIAS,
    "bs": (np.float32(0.02) * np.linspace(0.001, 0.002, 6)).astype(np.float32),
    "bz": np.zeros(6, np.int32),
    "ys": np.float32(0.03),
    "yz": np.uint8(0),
    "v": V,
    "vs": np.float32(0.004),
    "vz": np.int8(0),
    "zs": np.float32(0.002),
    "zz": np.uint8(120),
}


def _model(path: Path, nodes: Sequence[Any], **more: np.ndarray) -> Path:
    image = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4, 6, 6])
    out = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, 5])
    used = {name for node in nodes for name in node.input}
    given = [numpy_helper.from_array(np.asarray(a), n) for n, a in (CONSTANTS | more).items() if n in used]
    graph = helper.make_graph(list(nodes), "quantized", [image], [out], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


QLINEAR = [
    _node("QuantizeLinear", "x xs xz", "xq"),
    _node("QLinearConv", "xq xs xz w ws wz ys yz b", "yq", pads=[1, 1, 1, 1]),
    _node("DequantizeLinear", "yq ys yz", "y"),
    _node("GlobalAveragePool", "y", "p"),
    _node("Flatten", "p", "f"),
    _node("QuantizeLinear", "f ys yz", "fq"),
    _node("QLinearMatMul", "fq ys yz v vs vz zs zz", "zq"),
    _node("DequantizeLinear", "zq zs zz", "out"),
]
QDQ = [
    _node("QuantizeLinear", "x xs xz", "xq"),
    _node("DequantizeLinear", "xq xs xz", "xd"),
    _node("DequantizeLinear", "w ws wz", "wd", axis=0),
    _node("DequantizeLinear", "b bs bz", "bd", axis=0),
    _node("Conv", "xd wd bd", "c", pads=[1, 1, 1, 1]),
    _node("Relu", "c", "r"),
    _node("QuantizeLinear", "r ys yz", "yq"),
    *QLINEAR[2:6],
    _node("DequantizeLinear", "fq ys yz", "fd"),
    _node("DequantizeLinear", "v vs vz", "vd"),
    _node("MatMul", "fd vd", "m"),
    _node("QuantizeLinear", "m zs zz", "zq"),
    QLINEAR[-1],
]


@pytest.fixture(params=["QLinear", "QDQ"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return _model(tmp_path / "model.onnx", QLINEAR if request.param == "QLinear" else QDQ)


def _products(graph: Graph) -> list[tuple[str, str, str, str]]:
    works = lower(graph.with_scheme("fp16")).works
    return [(w.kernel, w.a_format, w.b_format, w.compute_format) for w in works if hasattr(w, "b_format")]


def test_products_run_on_integers(path: Path) -> None:
    graph = hwsim.load_onnx(str(path))
    assert _products(graph) == [("conv2d", "uint8", "int8", "int8"), ("matmul", "uint8", "int8", "int8")]
    assert graph.parameters >= W.size + V.size
    assert graph.weight_bytes <= W.size + V.size + 100


def test_values_are_those_of_the_reference_evaluator(path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    x = np.random.default_rng(1).standard_normal((1, 4, 6, 6)).astype(np.float32)
    (expected,) = ReferenceEvaluator(str(path)).run(None, {"x": x})
    (found,) = run_reference(hwsim.load_onnx(str(path)), {"x": x}).values()
    step = float(CONSTANTS["zs"])
    assert np.abs(found - expected).max() <= step * 1.001  # a sum near a tie may round the other way
    assert np.abs(found).max() > 3 * step


def test_unsigned_weights_around_128_become_signed_ones(tmp_path: Path) -> None:
    unsigned = {"w": (W.astype(np.int16) + 128).astype(np.uint8), "wz": np.full(6, 128, np.uint8)}
    graph = hwsim.load_onnx(str(_model(tmp_path / "m.onnx", QLINEAR, **unsigned)))
    plain = hwsim.load_onnx(str(_model(tmp_path / "n.onnx", QLINEAR)))
    x = {"x": np.random.default_rng(1).standard_normal((1, 4, 6, 6)).astype(np.float32)}
    assert _products(graph) == _products(plain)
    (one,), (two,) = (list(run_reference(g, x).values()) for g in (graph, plain))
    assert np.array_equal(one, two)


def test_an_onnx_file_takes_passes_like_any_workload(tmp_path: Path) -> None:
    nodes = [_node("Conv", "x wf", "c"), _node("GlobalAveragePool", "c", "p"), _node("Flatten", "p", "f")]
    nodes.append(_node("MatMul", "f vf", "out"))
    floats = {"wf": W.astype(np.float32) * 0.01, "vf": V.astype(np.float32) * 0.01}
    model = str(_model(tmp_path / "float.onnx", nodes, **floats))
    graph = hwsim.workload(model, passes="quantize:scheme=w8a8,fuse_quantized")
    assert [f for _, _, f, _ in _products(graph)] == ["int8", "int8"]
    pruned = hwsim.load_onnx(model, passes="prune:ratio=0.5")
    assert pruned.parameters == 3 * 36 + 3 * 5
    step = hwsim.load_onnx(model, passes="backward")
    assert step.macs > 1.9 * hwsim.load_onnx(model).macs
