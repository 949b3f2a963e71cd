"""Every command that takes a workload takes the path of an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hwsim.cli import app
from hwsim.errors import InputError, UnknownNameError, UnsupportedError

onnx = pytest.importorskip("onnx")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A model of a product, an operator nobody knows and a softmax over a symbolic batch."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = helper.make_tensor_value_info("x", kind, ["batch", 64]), helper.make_tensor_value_info("y", kind, None)
    weight = helper.make_tensor("w", kind, [64, 32], [0.5] * (64 * 32))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="product"),
        helper.make_node("Sparkle", ["a"], ["b"], name="sparkle", domain="com.example"),
        helper.make_node("Softmax", ["b"], ["y"], name="softmax"),
    ]
    known = helper.make_tensor_value_info("b", kind, ["batch", 32])
    graph = helper.make_graph(nodes, "g", [x], [y], [weight], value_info=[known])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    file = tmp_path / "tiny.onnx"
    file.write_bytes(helper.make_model(graph, opset_imports=imports).SerializeToString())
    return str(file)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_a_dimension_is_a_parameter_and_the_unknown_is_priced_only_if_allowed(path: str) -> None:
    common = ("-d", "h100_sxm", "--json", "--set", "batch=8")
    assert isinstance(run("estimate", path, *common).exception, UnsupportedError)
    printed = json.loads(run("estimate", path, *common, "--allow-unknown", "--per-op", "--quiet").stdout)
    assert (printed["workload"], printed["macs"], printed["parameters"]) == ("tiny", 8 * 64 * 32, 64 * 32)
    assert printed["notes"] == ["com.example::Sparkle x1 priced as a move of its bytes"]
    assert [(op["op"], op["kind"]) for op in printed["ops"]][1] == ("sparkle", "opaque")


def test_each_command_takes_the_path(path: str) -> None:
    common = ("-d", "h100_sxm", "--set", "batch=8", "--allow-unknown", "--json", "--quiet")
    assert json.loads(run("compare", path, *common).stdout)["runs"][0]["fits"] is True
    assert json.loads(run("explain", path, "--op", "product", *common).stdout)["kind"] == "matmul"
    fitted = json.loads(run("fit", path, *common).stdout)
    assert (fitted["workload"], fitted["fits"]) == ("tiny", True)
    assert fitted["largest_batch"] > 8


def test_what_is_wrong_is_said(path: str) -> None:
    assert isinstance(run("estimate", path, "-d", "t4", "--set", "bacth=8").exception, UnknownNameError)
    wrong = run("estimate", path, "-d", "t4", "--allow-unknown").exception
    assert isinstance(wrong, InputError)
    assert "dimensions without a size: 'batch'" in str(wrong)
    named = run("estimate", "resnet50", "-d", "t4", "--allow-unknown").exception
    assert "--allow-unknown is for ONNX files" in str(named)
