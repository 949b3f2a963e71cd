"""Damaged and hostile ONNX files: one clear message each, exit code 2, bounded memory and time."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import HwsimError, InputError, UnsupportedError
from hwsim.workloads.onnx import inference

onnx = pytest.importorskip("onnx")

helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
CORPUS = sorted((Path(__file__).parent / "onnx_corpus").glob("*.onnx"))
SMALL = 50_000_000
"""Bytes that refusing a file may take."""


def model(*nodes: Any, weights: Any = (), opset: int = 17, **fields: Any) -> Any:
    """A model from x (1, 4) to y."""
    x, y = (helper.make_tensor_value_info(name, FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph(list(nodes), "g", [x], [y], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], **fields)


def node(kind: str, *inputs: str, **attributes: Any) -> Any:
    return helper.make_node(kind, list(inputs), ["y"], **attributes)


def huge() -> Any:
    """A tensor of 10 GB that holds nothing."""
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[4, 625_000_000])
    return model(node("MatMul", "x", "w"), weights=[tensor])


def negative() -> Any:
    made = model(node("Relu", "x"))
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -3
    return made


def recursive() -> Any:
    calls = {"A": "B", "B": "A"}
    functions = [
        helper.make_function(
            "own",
            name,
            ["x"],
            ["y"],
            [helper.make_node(other, ["x"], ["y"], domain="own")],
            [helper.make_opsetid("", 17)],
        )
        for name, other in calls.items()
    ]
    return model(node("A", "x", domain="own"), functions=functions)


def exploding() -> Any:
    """Functions that each call the next twice: 2^31 nodes in 3 kB."""
    functions = []
    for level in range(31):
        inner = ("Relu", "") if level == 30 else (f"F{level + 1}", "own")
        pair = [helper.make_node(inner[0], [a], [b], domain=inner[1]) for a, b in (("x", "t"), ("t", "y"))]
        functions.append(helper.make_function("own", f"F{level}", ["x"], ["y"], pair, [helper.make_opsetid("", 17)]))
    return model(node("F0", "x", domain="own"), functions=functions)


def doubled_name() -> Any:
    return model(helper.make_node("Relu", ["x"], ["t"]), helper.make_node("Tanh", ["x"], ["t"]), node("Relu", "t"))


def cycle() -> Any:
    return model(helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"]), node("Relu", "a"))


def short_tensor() -> Any:
    tensor = onnx.TensorProto(name="w", data_type=FLOAT, dims=[4, 4], raw_data=b"1234")
    return model(node("MatMul", "x", "w"), weights=[tensor])


def enormous_output() -> Any:
    shape = onnx.numpy_helper.from_array(np.array([1, 2**39, 2**39, 4]), "s")
    return model(node("Expand", "x", "s"), weights=[shape])


MODELS: dict[str, tuple[Callable[[], Any], type[HwsimError], str]] = {
    "a 10 GB tensor in 1 kB": (huge, InputError, r"needs 2,500,000,000 entries, but the file holds 0"),
    "a tensor cut short": (short_tensor, InputError, r"tensor 'w' of shape \[4, 4\] in fp32 needs 64 bytes, but .* 4"),
    "a negative dimension": (negative, InputError, r"input 'x' has a negative extent, -3"),
    "recursive functions": (recursive, InputError, r"recursive functions: own::A calls own::B calls own::A"),
    "functions that explode": (exploding, InputError, r"more than 200,000 nodes, those inside functions counted"),
    "a dangling edge": (
        lambda: model(node("Relu", "z")),
        InputError,
        r"node 'y' \(Relu\): its input 'z' is made by no",
    ),
    "a cycle": (cycle, InputError, r"its input 'b' is made by no node before it"),
    "two makers of a tensor": (doubled_name, InputError, r"its output 't' exists already"),
    "an old opset": (
        lambda: model(node("Relu", "x"), opset=6),
        UnsupportedError,
        r"opset 6 is not read; hwsim reads 7",
    ),
    "an opset to come": (lambda: model(node("Relu", "x"), opset=999), UnsupportedError, r"opset 999 is not read"),
    "an unknown domain": (
        lambda: model(node("Relu", "x", domain="com.example")),
        UnsupportedError,
        r"1 operator that hwsim does not have: com\.example::Relu",
    ),
    "shapes that do not fit": (
        lambda: model(node("Concat", "x", "w", axis=0), weights=[helper.make_tensor("w", FLOAT, [1, 3], [0.0] * 3)]),
        InputError,
        r"node 'y' \(Concat\): concat along axis 0: shapes \[1, 4\] and \[1, 3\] differ",
    ),
    "an enormous result": (enormous_output, InputError, r"at most .* elements are read|do not broadcast|extent"),
    "an attribute of the wrong type": (
        lambda: model(node("Concat", "x", "x", axis="one")),
        InputError,
        r"attribute 'axis' must be int, not str",
    ),
    "a name that is no text": (lambda: model(node("Relu", "x", name="a\nb")), InputError, r"'a\\nb' is no name"),
}


@pytest.mark.parametrize("what", MODELS)
def test_one_line_says_what_is_wrong_and_little_is_allocated(what: str, tmp_path: Path) -> None:
    make, kind, message = MODELS[what]
    path = tmp_path / "bad.onnx"
    path.write_bytes(make().SerializeToString())
    tracemalloc.start()
    try:
        with pytest.raises(kind, match=message) as caught:
            hwsim.load_onnx(path)
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(str(path))
    assert len(text.splitlines()) == 1


def test_a_truncated_file_and_one_of_another_kind_are_told_apart_from_models(tmp_path: Path) -> None:
    whole = model(node("Relu", "x")).SerializeToString()
    for data in (whole[:-9], b"schema: hwsim/device/v1\n", b""):
        path = tmp_path / "cut.onnx"
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"no whole ONNX model|no graph in this file"):
            hwsim.load_onnx(path)


def test_a_file_beyond_what_protobuf_reads_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)  # sparse: takes no space
    with pytest.raises(InputError, match="at most 2,147,483,648 are read"):
        hwsim.load_onnx(path)


def test_the_command_line_says_it_in_one_line_and_leaves_with_2(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(huge().SerializeToString())
    command = [sys.executable, "-m", "hwsim", "estimate", str(path), "-d", "h100_sxm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {path}: tensor 'w'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_the_fuzzer_found_once_is_read_or_refused_in_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "SECONDS", 2)
    says = ""
    try:
        hwsim.load_onnx(path, allow_unknown=path.stat().st_size % 2 == 0).with_scheme("fp16")
    except HwsimError as error:
        says = str(error)
    assert len(says.splitlines()) <= 1
