"""ONNX files as graphs: counts of real networks, weights and constants, dimensions, what is refused and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnknownNameError, UnsupportedError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower

onnx = pytest.importorskip("onnx")

helper, numpy_helper, FLOAT, INT64 = onnx.helper, onnx.numpy_helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64

LIGHT = {
    # name: (MACs, parameters); docs/onnx.md compares them with published counts
    "bvlc_alexnet": (654_560_384, 60_965_224),
    "densenet121": (2_834_161_664, 8_062_504),
    "inception_v1": (1_431_556_352, 6_998_552),
    "inception_v2": (2_018_851_840, 11_214_888),
    "resnet50": (4_089_184_256, 25_557_032),
    "shufflenet": (124_664_528, 1_393_320),
    "squeezenet": (349_151_936, 1_235_496),
    "vgg19": (19_632_062_464, 143_667_240),
    "zfnet512": (1_481_727_008, 87_250_536),
}


def light(name: str) -> Path:
    """A network of the onnx package's own test data."""
    import onnx.backend.test

    return Path(onnx.backend.test.__file__).parent / "data" / "light" / f"light_{name}.onnx"


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a model of some nodes; inputs and outputs are fp32 unless typed, shapes may hold names."""

    def made(
        nodes: Sequence[Any],
        inputs: dict[str, Any],
        outputs: Sequence[str],
        weights: dict[str, Any] | None = None,
        *,
        opset: int = 17,
        functions: Sequence[Any] = (),
        domains: Sequence[tuple[str, int]] = (),
        types: dict[str, int] | None = None,
    ) -> Path:
        values = [helper.make_tensor_value_info(n, (types or {}).get(n, FLOAT), s) for n, s in inputs.items()]
        ends = [helper.make_tensor_value_info(n, (types or {}).get(n, FLOAT), None) for n in outputs]
        stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in (weights or {}).items()]
        graph = helper.make_graph(list(nodes), "g", values, ends, stored)
        imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*d) for d in domains)]
        model = helper.make_model(graph, opset_imports=imports, functions=list(functions))
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return made


def kinds(graph: Graph) -> list[str]:
    return [node.op.kind for node in graph.nodes]


@pytest.mark.parametrize("name", LIGHT)
def test_a_real_network_has_the_macs_and_parameters_it_is_known_for(name: str) -> None:
    graph = hwsim.load_onnx(light(name))
    assert (graph.macs, graph.parameters) == LIGHT[name]


def test_the_file_and_the_shipped_workload_of_one_network_agree() -> None:
    ours, theirs = hwsim.workload("resnet50"), hwsim.load_onnx(light("resnet50"))
    assert ours.macs == theirs.macs
    assert ours.parameters == theirs.parameters


def test_an_imported_network_is_priced_like_any_other() -> None:
    costs = hwsim.estimate(hwsim.load_onnx(light("squeezenet")), "h100_sxm")
    assert costs.time_s > 0
    assert hwsim.simulate(hwsim.load_onnx(light("squeezenet")), "hexagon_v75").latency_s > 0


def test_weights_that_nodes_make_are_weights_and_stored_lazily(write: Write) -> None:
    huge = helper.make_node("ConstantOfShape", ["shape"], ["w"], value=helper.make_tensor("v", FLOAT, [1], [2.0]))
    nodes = [huge, helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = hwsim.load_onnx(write(nodes, {"x": [1, 2]}, ["y"], {"shape": np.array([2, 4_000_000_000])}))
    assert graph.parameters == 8_000_000_000
    assert kinds(graph) == ["matmul"]


def test_values_are_those_of_the_file(write: Write) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)]
    weights = {"w": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.ones(3, np.float32)}
    graph = hwsim.load_onnx(write(nodes, {"x": [1, 2]}, ["y"], weights))
    assert hwsim.run_reference(graph, {"x": np.array([[1.0, 2.0]])})["y"].tolist() == [[3.0, 9.0, 15.0]]


def test_a_symbolic_dimension_takes_its_size_from_dims(write: Write) -> None:
    path = write([helper.make_node("Relu", ["x"], ["y"])], {"x": ["batch", "past + seq", 4]}, ["y"])
    with pytest.raises(InputError, match=r"'batch' \(axis 0 of input 'x'\), 'past \+ seq' \(axis 1 of input 'x'\)"):
        hwsim.load_onnx(path)
    with pytest.raises(UnknownNameError, match="no input has a dimension 'bacth'; did you mean 'batch'"):
        hwsim.load_onnx(path, {"bacth": 2})
    graph = hwsim.load_onnx(path, {"batch": 2, "past + seq": 3})
    assert graph.tensors["y"].shape == (2, 3, 4)


def test_a_sum_of_named_dimensions_needs_no_size_of_its_own(write: Write) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["m"], ["z"])]
    path = write(nodes, {"x": ["batch", "seq"], "m": ["batch", "2*seq + 1"]}, ["y", "z"])
    assert hwsim.load_onnx(path, {"batch": 2, "seq": 3}).tensors["z"].shape == (2, 7)


def test_shape_arithmetic_folds_away(write: Write) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["batch"], axis=0),
        helper.make_node("Unsqueeze", ["batch", "axes"], ["batch1"]),
        helper.make_node("Concat", ["batch1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
    ]
    weights = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])}
    graph = hwsim.load_onnx(write(nodes, {"x": [5, 2, 3]}, ["z"], weights))
    assert kinds(graph) == ["reshape", "relu"]
    assert graph.tensors["z"].shape == (5, 6)


def test_all_unsupported_operators_are_named_at_once(write: Write) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"]),
        helper.make_node("Det", ["x"], ["b"]),
        helper.make_node("Relu", ["a"], ["c"]),
        helper.make_node("Sparkle", ["c"], ["y"], domain="com.example"),
    ]
    path = write(nodes, {"x": [2, 4, 4]}, ["y"], domains=[("com.example", 1)])
    with pytest.raises(UnsupportedError, match=r"2 operators that hwsim does not have: Det x2, com.example::Sparkle"):
        hwsim.load_onnx(path)


def test_allowed_unknown_operators_move_their_bytes_and_are_noted(write: Write) -> None:
    nodes = [helper.make_node("Det", ["x"], ["a"], name="det"), helper.make_node("Relu", ["a"], ["y"])]
    graph = hwsim.load_onnx(write(nodes, {"x": ["n", 4, 4]}, ["y"]), {"n": 8}, allow_unknown=True)
    assert kinds(graph) == ["opaque", "relu"]
    assert graph.notes == ("Det x1 priced as a move of its bytes",)
    (work, *_) = lower(graph.with_scheme("fp16")).works
    assert (work.form, work.bytes_in, work.bytes_out) == ("move", 2 * 8 * 16, 2 * 8)
    assert hwsim.estimate(graph, "h100_sxm").time_s > 0
    with pytest.raises(InputError, match="does not know what 'Det' computes"):
        run_reference(graph, {"x": np.zeros((8, 4, 4))})


def test_an_unknown_operator_of_unknown_shape_is_refused_all_the_same(write: Write) -> None:
    nodes = [helper.make_node("Sparkle", ["x"], ["y"], domain="com.example")]
    path = write(nodes, {"x": [2]}, ["y"], domains=[("com.example", 1)])
    with pytest.raises(UnsupportedError, match="does not say what shape 'y' has"):
        hwsim.load_onnx(path, allow_unknown=True)


def test_a_branch_decided_by_a_constant_is_read_and_one_decided_by_data_refused(write: Write) -> None:
    def branch(kind: str) -> Any:
        out = helper.make_tensor_value_info("out", FLOAT, None)
        return helper.make_graph([helper.make_node(kind, ["x"], ["out"])], kind, [], [out])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Tanh"))
    known = write([node], {"x": [2]}, ["y"], {"c": np.array([False])})
    assert kinds(hwsim.load_onnx(known)) == ["tanh"]
    with pytest.raises(UnsupportedError, match=r"If .a branch that data decide has no one price"):
        hwsim.load_onnx(write([node], {"x": [2], "c": [1]}, ["y"], types={"c": onnx.TensorProto.BOOL}))


def test_functions_of_the_model_are_read_where_they_are_called(write: Write) -> None:
    scaled = helper.make_function(
        "own",
        "Scaled",
        ["a"],
        ["b"],
        [
            helper.make_node("Elu", ["a"], ["t"], name="inner"),
            helper.make_node("Relu", ["t"], ["b"]),
        ],
        [helper.make_opsetid("", 17)],
        ["alpha"],
    )
    scaled.node[0].attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="alpha", type=1))
    nodes = [helper.make_node("Scaled", ["x"], ["y"], domain="own", alpha=0.5)]
    graph = hwsim.load_onnx(write(nodes, {"x": [3]}, ["y"], functions=[scaled], domains=[("own", 1)]))
    assert kinds(graph) == ["elu", "relu"]
    assert graph.nodes[0].op.alpha == 0.5


def test_standard_operators_without_a_rule_are_read_by_their_definition(write: Write) -> None:
    graph = hwsim.load_onnx(write([helper.make_node("Celu", ["x"], ["y"], alpha=2.0)], {"x": [3]}, ["y"]))
    x = np.array([-1.0, 0.0, 2.0])
    assert run_reference(graph, {"x": x})["y"] == pytest.approx(np.where(x > 0, x, 2 * np.expm1(x / 2)))


def test_external_data_may_be_absent_or_beside_the_model(write: Write, tmp_path: Path) -> None:
    path = write([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [1, 2]}, ["y"], {"w": np.eye(2, dtype="f4")})
    model = onnx.load(path)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "weights.bin")
    model.graph.initializer[0].ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    absent = hwsim.load_onnx(path)
    assert (absent.macs, absent.parameters) == (4, 4)
    with pytest.raises(InputError, match=r"the values of 'w' are external data that do not lie beside it"):
        run_reference(absent, {"x": np.ones((1, 2))})
    assert run_reference(absent, {"x": np.ones((1, 2)), "w": np.eye(2)})["y"].tolist() == [[1.0, 1.0]]
    (tmp_path / "weights.bin").write_bytes(np.full(4, 3, "f4").tobytes())
    assert run_reference(hwsim.load_onnx(path), {"x": np.ones((1, 2))})["y"].tolist() == [[6.0, 6.0]]
    model.graph.initializer[0].external_data[0].value = "../weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"external data must lie beside the model, not at '\.\./weights\.bin'"):
        hwsim.load_onnx(path)


@pytest.mark.parametrize(("kind", "how"), [("Expand", [0, 1, 8]), ("Tile", [0, 1, 1])])
def test_a_parameter_repeated_for_each_image_stays_one_parameter(write: Write, kind: str, how: list[int]) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["n"], start=0, end=1),
        helper.make_node("Concat", ["n", "rest"], ["repeats"], axis=0),
        helper.make_node(kind, ["token", "repeats"], ["tokens"]),
        helper.make_node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    token = np.arange(8, dtype="f4").reshape(1, 1, 8)
    path = write(nodes, {"x": ["n", 2, 8]}, ["y"], {"token": token, "rest": np.array(how[1:])})
    graph = hwsim.load_onnx(path, {"n": 4})
    assert graph.parameters == 8
    y = run_reference(graph, {"x": np.zeros((4, 2, 8))})["y"]
    assert (y[:, 0] == token[0]).all()
    assert not y[:, 1:].any()


def test_half_precision_files_keep_their_format_and_single_ones_wait_for_the_device(write: Write) -> None:
    node = [helper.make_node("Relu", ["x"], ["y"])]
    assert hwsim.load_onnx(write(node, {"x": [2]}, ["y"])).tensors["x"].type.format == "auto"
    assert hwsim.load_onnx(write(node, {"x": [2]}, ["y"]), dtype="file").tensors["x"].type.format == "fp32"
    assert hwsim.load_onnx(write(node, {"x": [2]}, ["y"]), dtype="bf16").tensors["x"].type.format == "bf16"
    half = {"x": onnx.TensorProto.FLOAT16, "y": onnx.TensorProto.FLOAT16}
    assert hwsim.load_onnx(write(node, {"x": [2]}, ["y"], types=half)).tensors["x"].type.format == "fp16"


def test_outputs_keep_their_names_even_when_they_are_inputs_or_shared(write: Write) -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Identity", ["y"], ["again"]),
    ]
    graph = hwsim.load_onnx(write(nodes, {"x": [2]}, ["same", "y", "again"]))
    found = run_reference(graph, {"x": np.array([-1.0, 2.0])})
    assert {name: value.tolist() for name, value in found.items()} == {
        "same": [-1.0, 2.0],
        "y": [0.0, 2.0],
        "again": [0.0, 2.0],
    }


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'hwsim\[onnx\]'"):
        hwsim.load_onnx("model.onnx")


def _quantized_convolution() -> tuple[list[Any], dict[str, Any]]:
    """Nodes and constants of a convolution with ReLU in QDQ form: weights by channel, activations in uint8."""
    generator = np.random.default_rng(0)
    scales = generator.uniform(0.005, 0.01, 4).astype("f4")
    constants = {
        "w": generator.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8),
        "ws": scales,
        "wz": np.zeros(4, np.int8),
        "b": generator.integers(-500, 500, 4).astype(np.int32),
        "bs": np.float32(0.02) * scales,
        "xs": np.float32(0.02),
        "xz": np.uint8(120),
        "ys": np.float32(0.03),
        "yz": np.uint8(3),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "bs"], ["bd"], axis=0),
        helper.make_node("Conv", ["xd", "wd", "bd"], ["c"], name="conv", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("QuantizeLinear", ["r", "ys", "yz"], ["yq"], name="q"),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["y"]),
    ]
    return nodes, constants


def test_a_quantized_convolution_runs_on_integers_and_equals_onnx_runtime(write: Write) -> None:
    runtime = pytest.importorskip("onnxruntime")
    nodes, constants = _quantized_convolution()
    path = write(nodes, {"x": [1, 2, 6, 6]}, ["y"], constants)
    graph = hwsim.load_onnx(path)
    assert [node.name for node in graph.nodes] == ["xq", "conv+relu+q", "y"]
    gemm = next(w for w in lower(graph.with_scheme("fp16")).works if w.form == "gemm")
    assert (gemm.a_format, gemm.b_format, gemm.out_format) == ("uint8", "int8", "uint8")
    x = np.random.default_rng(1).standard_normal((1, 2, 6, 6)).astype("f4")
    model = onnx.load(path)
    model.ir_version = 8
    (wanted,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert (run_reference(graph, {"x": x})["y"] == wanted).all()


def test_scales_that_the_data_decide_are_computed_in_floats(write: Write) -> None:
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        helper.make_node("MatMulInteger", ["q", "w", "z"], ["i"]),
        helper.make_node("Cast", ["i"], ["f"], to=FLOAT),
        helper.make_node("Mul", ["f", "s"], ["y"]),
    ]
    graph = hwsim.load_onnx(write(nodes, {"x": [2, 3]}, ["y"], {"w": np.array([[1], [2], [-3]], np.int8)}))
    x = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.5]])
    assert run_reference(graph, {"x": x})["y"] == pytest.approx(x @ np.array([[1], [2], [-3]]), abs=0.05)


def test_the_page_lists_every_operator_that_has_a_rule() -> None:
    from hwsim.workloads.onnx.rules import RULES

    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
    table = page.partition("## Operators with a rule")[2].partition("Some forms")[0]
    assert set(re.findall(r"`(\w+)`", table)) == {name for _, name in RULES}


def test_the_page_gives_the_counts_of_the_networks() -> None:
    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text(encoding="utf-8")
    for name, (macs, parameters) in LIGHT.items():
        assert re.search(rf"\| {name}[^|]*\| {macs / 1e9:.4f} \| {parameters:,} \|", page), name


def _attention(hidden: int, heads: int) -> tuple[list[Any], dict[str, Any]]:
    """Self-attention as exporters write it: shapes taken from the input, heads split and merged by Reshape."""
    n = helper.make_node
    nodes = [n("Shape", ["x"], ["s"]), n("Gather", ["s", "i0"], ["b"]), n("Gather", ["s", "i1"], ["l"])]
    nodes += [n("Unsqueeze", ["b", "zero"], ["b1"]), n("Unsqueeze", ["l", "zero"], ["l1"])]
    nodes += [n("Concat", ["b1", "l1", "heads", "rest"], ["split"], axis=0)]
    nodes += [n("Concat", ["b1", "l1", "hidden"], ["merge"], axis=0)]
    for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [n("MatMul", ["x", f"w{name}"], [f"{name}1"]), n("Reshape", [f"{name}1", "split"], [f"{name}2"])]
        nodes += [n("Transpose", [f"{name}2"], [name], perm=perm)]
    nodes += [n("MatMul", ["q", "k"], ["scores"]), n("Div", ["scores", "root"], ["scaled"])]
    nodes += [n("Unsqueeze", ["mask", "ones"], ["mask4"]), n("Cast", ["mask4"], ["seen"], to=FLOAT)]
    nodes += [n("Sub", ["one", "seen"], ["hidden_"]), n("Mul", ["hidden_", "low"], ["bias"])]
    nodes += [n("Add", ["scaled", "bias"], ["masked"]), n("Softmax", ["masked"], ["p"], axis=-1)]
    nodes += [n("MatMul", ["p", "v"], ["o"]), n("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3])]
    nodes += [n("Reshape", ["o1", "merge"], ["o2"]), n("MatMul", ["o2", "wo"], ["y"])]
    weights: dict[str, Any] = {f"w{name}": np.eye(hidden, dtype="f4") for name in "qkvo"}
    weights |= {"i0": np.array(0), "i1": np.array(1), "zero": np.array([0]), "ones": np.array([1, 2])}
    weights |= {"heads": np.array([heads]), "rest": np.array([-1]), "hidden": np.array([hidden])}
    weights |= {"root": np.float32((hidden / heads) ** 0.5), "one": np.float32(1), "low": np.float32(-1e4)}
    return nodes, weights


def test_attention_with_symbolic_batch_and_length_counts_its_closed_form(write: Write) -> None:
    nodes, weights = _attention(64, 4)
    inputs = {"x": ["batch", "seq", 64], "mask": ["batch", "seq"]}
    path = write(nodes, inputs, ["y"], weights, types={"mask": INT64})
    graph = hwsim.load_onnx(path, {"batch": 2, "seq": 24})
    assert graph.macs == 2 * (4 * 24 * 64 * 64 + 2 * 24 * 24 * 64)
    assert graph.parameters == 4 * 64 * 64
    assert {"gather", "concat"}.isdisjoint(kinds(graph))
    x = np.random.default_rng(0).standard_normal((2, 24, 64))
    mask = np.arange(24) < np.array([[24], [10]])
    y = run_reference(graph, {"x": x, "mask": mask.astype(np.int64)})["y"]
    heads = x.reshape(2, 24, 4, 16).transpose(0, 2, 1, 3)
    scores = heads @ heads.transpose(0, 1, 3, 2) / 4 + np.where(mask, 0, -1e4)[:, None, None]
    weight = np.exp(scores - scores.max(-1, keepdims=True))
    wanted = (weight / weight.sum(-1, keepdims=True)) @ heads
    assert y == pytest.approx(wanted.transpose(0, 2, 1, 3).reshape(2, 24, 64), abs=1e-4)
    assert hwsim.estimate(graph, "hexagon_v75").time_s > 0


def test_a_scenario_runs_a_file_beside_it(write: Write, tmp_path: Path) -> None:
    write([helper.make_node("Relu", ["x"], ["y"])], {"x": ["batch", 8]}, ["y"])
    text = "schema: hwsim/scenario/v1\ntitle: A file\nworkload: {onnx: model.onnx, dims: {batch: 4}}\nsystems: [t4]\n"
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    (result,) = hwsim.load_scenario(tmp_path / "run.yaml").run()
    assert (result.graph.name, result.graph.tensors["x"].shape) == ("model", (4, 8))
    (tmp_path / "run.yaml").write_text(text.replace("batch: 4", "batch: 0"), encoding="utf-8")
    with pytest.raises(InputError, match=r"workload\.dims: write sizes of at least 1 by name"):
        hwsim.load_scenario(tmp_path / "run.yaml")
