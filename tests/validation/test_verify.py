"""hwsim's kernels judged from outside: the ONNX project's test cases, and ONNX Runtime on whole networks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from hwsim.cli import app
from hwsim.errors import InputError
from hwsim.validation.node_cases import cases, check_case, judged, operator_of
from hwsim.validation.verified import by_operator
from hwsim.validation.whole_models import check_model, shipped_models

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

run = CliRunner().invoke


@pytest.fixture(scope="module")
def found() -> list[Any]:
    return cases()


def _network_operators() -> set[str]:
    """Operators of the networks in the test data of the package onnx."""
    return {node.op_type for path in shipped_models() for node in onnx.load(path).graph.node}


@pytest.mark.slow
def test_no_case_of_the_onnx_project_fails(found: list[Any]) -> None:
    results = list(judged(found, operator_of(found)))
    assert [(r.name, r.reason) for r in results if r.verdict == "failed"] == []
    assert sum(r.verdict == "passed" for r in results) >= 1506


@pytest.mark.slow
def test_all_cases_of_the_operators_of_real_networks_pass(found: list[Any]) -> None:
    wanted, names = _network_operators(), operator_of(found)
    results = by_operator(list(judged([c for c in found if names[c.name] in wanted], names)))
    assert set(results) == wanted
    assert {verdict for counts in results.values() for verdict in counts} == {"passed"}


@pytest.mark.slow
@pytest.mark.parametrize("path", shipped_models(), ids=lambda path: path.stem)
def test_a_whole_network_computes_what_onnx_runtime_computes(path: Path) -> None:
    result = check_model(path)
    assert result.agrees, result
    assert result.error < 1e-5


@pytest.mark.slow
def test_cases_of_some_operators_pass(found: list[Any]) -> None:
    names = operator_of(found)
    some = [c for c in found if names[c.name] in {"Conv", "MaxPool", "Cast", "BatchNormalization"}]
    assert len(some) > 50
    assert {r.verdict for r in judged(some, names)} == {"passed", "not supported"}


@pytest.mark.slow
def test_an_expanded_case_belongs_to_the_operator_it_expands(found: list[Any]) -> None:
    assert operator_of(found)["test_celu_expanded"] == "Celu"


def _case(wanted: np.ndarray[Any, Any], kind: int = 1) -> SimpleNamespace:
    """A case of Relu on two numbers, with those outputs."""
    helper = onnx.helper
    x, y = helper.make_tensor_value_info("x", 1, [2]), helper.make_tensor_value_info("y", kind, [2])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    given = np.array([-1.0, 2.0], np.float32)
    return SimpleNamespace(name="relu", model=model, data_sets=[([given], [wanted])], rtol=1e-3, atol=1e-7)


def test_a_wrong_value_a_wrong_shape_and_a_wrong_type_fail() -> None:
    right = np.array([0.0, 2.0], np.float32)
    assert check_case(_case(right)) == ("passed", "")
    assert check_case(_case(right + 1)) == ("failed", "output 'y': 2 of 2 elements differ")
    assert check_case(_case(right[:1])) == ("failed", "output 'y' has shape [2], not [1]")
    assert check_case(_case(right, onnx.TensorProto.DOUBLE)) == ("failed", "output 'y' is fp32, not element type 11")


def test_a_small_network_agrees_and_a_wrong_kernel_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(p for p in shipped_models() if "squeezenet" in p.name)
    assert check_model(path).agrees
    from hwsim.operators.relu import Relu

    monkeypatch.setattr(Relu, "value", lambda _, x: np.maximum(x, 0.01))
    assert not check_model(path).agrees


def test_weights_beside_a_model_are_read_from_any_folder_and_missing_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "apart.onnx"
    helper = onnx.helper
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4, 4]) for name in ("x", "y")]
    weight = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert check_model(path).agrees
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"apart\.onnx: the values of 'w' are external data that do not lie beside"):
        check_model(path)


@pytest.mark.slow
def test_the_command_prints_a_row_an_operator_and_says_what_is_unknown() -> None:
    shown = run(app, ["verify", "--ops", "Relu", "--ops", "Det"])
    assert shown.exit_code == 0
    assert "Relu" in shown.output
    printed = json.loads(run(app, ["verify", "--ops", "Relu", "--ops", "Det", "--json"]).output)
    assert printed["cases"]["operators"][1] == {"operator": "Relu", "passed": 2, "not_supported": 0, "failed": 0}
    assert printed["cases"]["not_supported"] == 2
    assert isinstance(run(app, ["verify", "--ops", "Relo"]).exception, InputError)


def test_the_command_compares_a_model_with_onnx_runtime(tmp_path: Path) -> None:
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["batch", 3]) for n in "xy")
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "g", [x], [y])
    path = tmp_path / "softmax.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    printed = json.loads(run(app, ["verify", "--onnx", str(path), "--set", "batch=4", "--json"]).output)
    assert printed["models"][0]["verdict"] == "passed"
    assert printed["models"][0]["largest_error"] < 1e-6
