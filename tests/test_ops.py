"""One-operator graphs: sizes, counts and values."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from hwsim import ops
from hwsim.errors import InputError, ShapeError, UnknownNameError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower

CALLS = {
    "matmul": ({"m": 3, "n": 4, "k": 5, "batch": 2}, 2 * 60),
    "linear": ({"m": 3, "n": 4, "k": 5}, 60),
    "conv2d": (
        {"batch": 2, "cin": 4, "h": 6, "w": 6, "cout": 8, "kernel": 3, "padding": 1, "groups": 2},
        2 * 36 * 8 * 18,
    ),
    "attention": ({"batch": 1, "heads": 4, "seq_q": 3, "seq_kv": 5, "head_dim": 8, "kv_heads": 2}, 2 * 4 * 15 * 8),
    "softmax": ({"rows": 3, "cols": 4}, 0),
    "layernorm": ({"rows": 3, "cols": 4}, 0),
    "rmsnorm": ({"rows": 3, "cols": 4}, 0),
    "gelu": ({"elements": 12}, 0),
    "relu": ({"elements": 12}, 0),
    "silu_mul": ({"elements": 12}, 0),
    "add": ({"elements": 12}, 0),
    "mul": ({"elements": 12}, 0),
    "rope": ({"elements": 12}, 0),
    "silu": ({"elements": 12}, 0),
    "tanh": ({"elements": 12}, 0),
    "div": ({"elements": 12}, 0),
    "power": ({"elements": 12, "scalar": 2.0}, 0),
    "all_reduce": ({"bytes": 1000, "devices": 4}, 0),
    "all_gather": ({"bytes": 1000, "devices": 4}, 0),
    "reduce_scatter": ({"bytes": 1000, "devices": 4}, 0),
    "all_to_all": ({"bytes": 1000, "devices": 4}, 0),
    "send": ({"bytes": 1000}, 0),
    "embedding": ({"rows": 3, "cols": 4, "vocab": 10}, 0),
}


def _graph(name: str, **more: str) -> Graph:
    arguments, _ = CALLS[name]
    return getattr(ops, name)(**arguments, **more)


def test_every_public_operator_is_called_here() -> None:
    assert sorted(CALLS) == sorted(ops.__all__)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_graph_of_one_operator_counts_its_multiply_accumulates(name: str) -> None:
    graph = _graph(name)
    assert [node.op.kind for node in graph.nodes] == ["pow" if name == "power" else name]
    assert graph.macs == CALLS[name][1]


@pytest.mark.parametrize("name", sorted(CALLS))
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "w8a8", "fp8_w8a8", "w4a16"])
def test_a_dtype_or_scheme_resolves_every_tensor(name: str, dtype: str) -> None:
    graph = _graph(name, dtype=dtype)
    assert not graph.is_auto
    assert graph.scheme is not None
    assert graph.scheme.name == dtype
    (work,) = lower(graph).works
    assert work.bytes_in > 0


@pytest.mark.parametrize("name", sorted(CALLS))
def test_the_dtype_waits_for_the_device_unless_given(name: str) -> None:
    assert inspect.signature(getattr(ops, name)).parameters["dtype"].default == "auto"
    assert _graph(name).is_auto == ("bytes" not in CALLS[name][0])


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_graph_of_one_operator_runs_on_numpy(name: str) -> None:
    graph = _graph(name)
    given = {t.name: np.ones(t.shape) for t in graph.tensors.values() if t.role == "input"}
    (value,) = run_reference(graph, given).values()
    assert value.shape == graph.tensors[graph.outputs[0]].shape
    assert np.isfinite(value).all()


def test_the_second_operand_is_a_weight_in_a_layer_and_an_activation_in_a_batch() -> None:
    (free,) = lower(ops.matmul(2, 3, 4, batch=5, dtype="w8a16")).works
    (layer,) = lower(ops.matmul(2, 3, 4, dtype="w8a16")).works
    (fixed,) = lower(ops.linear(2, 3, 4, bias=False, dtype="w8a16")).works
    assert (free.b_format, free.b_is_weight) == ("fp16", False)
    assert (layer.b_format, layer.b_is_weight) == ("int8", True)
    assert (fixed.b_format, fixed.b_is_weight, fixed.epilogue_flop) == ("int8", True, 0)


@pytest.mark.parametrize("name", ["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send"])
def test_a_collective_has_the_bytes_asked_for_in_any_format(name: str) -> None:
    for dtype in ("auto", "fp32", "int8"):
        (work,) = lower(getattr(ops, name)(bytes=4096, devices=8, dtype=dtype)).works
        assert (work.bytes, work.participants, work.pattern) == (4096, 8, name)


def test_bytes_that_parts_do_not_divide_are_rounded_up() -> None:
    (work,) = lower(ops.all_gather(bytes=1000, devices=3)).works
    assert work.bytes == 1002  # 3 parts of 167 halves


@pytest.mark.parametrize("name", ["add", "mul", "div", "power"])
def test_arithmetic_with_a_number_reads_one_tensor(name: str) -> None:
    (two,) = lower(getattr(ops, name)(elements=8, dtype="fp16")).works
    (one,) = lower(getattr(ops, name)(elements=8, dtype="fp16", scalar=3.0)).works
    assert (two.bytes_in, one.bytes_in) == (32, 16)


def test_a_rotary_embedding_keeps_its_number_of_elements() -> None:
    for elements in (2, 4096 * 128, 100, 32 * 64):
        assert ops.rope(elements).tensors["x"].type.elements == elements


def test_wrong_sizes_and_formats_are_refused() -> None:
    with pytest.raises(InputError, match="groups must divide cin = 4, not 3"):
        ops.conv2d(1, 4, 8, 8, 4, 3, groups=3)
    with pytest.raises(ShapeError, match="at least 1"):
        ops.gelu(0)
    with pytest.raises(ShapeError, match="must be even"):
        ops.rope(3)
    with pytest.raises(UnknownNameError, match="did you mean 'w8a8'"):
        ops.linear(1, 1, 1, dtype="w8a9")
