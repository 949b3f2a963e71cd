"""Norms, softmax, rotary embedding and modulation in fp32: where casts stand, what they cost, which values."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.errors import GraphError, UnknownNameError
from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.softmax import Softmax
from hwsim.passes import PASSES, apply_passes

upcast = PASSES["upcast_norms"]


def _norm() -> Graph:
    b = GraphBuilder("g")
    x = b.add(RmsNorm(), b.input("x", (4, 8)), b.weight("gamma", (8,)))
    return b.build([b.add(Linear(), x, b.weight("w", (8, 8)))])


def _modulated() -> Graph:
    b = GraphBuilder("g")
    normed = b.add(LayerNorm(), b.input("x", (1, 4, 8)))
    y = b.add(ScaleShift(), normed, b.input("scale", (1, 1, 8)), b.input("shift", (1, 1, 8)))
    return b.build([b.add(Relu(), y)])


def test_an_operator_is_computed_in_fp32_between_casts() -> None:
    graph = upcast(_norm().with_scheme("fp16"))
    assert [node.name for node in graph.nodes] == ["rmsnorm.to_fp32", "rmsnorm.fp32", "rmsnorm.from_fp32", "linear"]
    assert graph.tensors["rmsnorm.fp32"].type.format == "fp32"
    assert graph.tensors["rmsnorm"].type.format == "fp16"
    works = lower(graph).works
    assert [(w.kernel, w.bytes_in, w.bytes_out) for w in works[:3]] == [
        ("cast", 64, 128),
        ("rmsnorm", 128 + 16, 128),
        ("cast", 128, 64),
    ]


def test_fp32_passes_from_one_operator_to_the_next_without_casts() -> None:
    graph = upcast(_modulated().with_scheme("bf16"))
    assert [node.name for node in graph.nodes] == [
        "layernorm.to_fp32",
        "layernorm.fp32",
        "scale_shift.fp32",
        "scale_shift.from_fp32",
        "relu",
    ]
    assert "layernorm" not in graph.tensors


def test_a_value_that_others_read_too_is_cast_back() -> None:
    b = GraphBuilder("g")
    normed = b.add(LayerNorm(), b.input("x", (4, 8)))
    graph = upcast(b.build([b.add(Softmax(), normed), b.add(Relu(), normed)], dtype="fp16"))
    assert [node.name for node in graph.nodes] == [
        "layernorm.to_fp32",
        "layernorm.fp32",
        "layernorm.from_fp32",
        "softmax.fp32",
        "softmax.from_fp32",
        "relu",
    ]


def test_phases_are_borders() -> None:
    b = GraphBuilder("g")
    normed = b.add(LayerNorm(), b.input("x", (4, 8)))
    b.phase("later", repeat=2)
    graph = upcast(b.build([b.add(Softmax(), normed)], dtype="fp16"))
    assert [node.name for node in graph.nodes][2:4] == ["layernorm.from_fp32", "softmax.to_fp32"]
    assert [(p.first, p.last, p.repeat) for p in graph.phases] == [(0, 3, 1), (3, 6, 2)]


def test_what_is_wide_already_stays_as_it_is() -> None:
    graph = _norm().with_scheme("fp32")
    assert upcast(graph) == graph


def test_casts_of_an_unresolved_graph_cost_nothing_in_fp32() -> None:
    works = lower(upcast(_norm()).with_scheme("fp32")).works
    assert [work.kernel for work in works] == ["rmsnorm", "linear"]


@pytest.mark.parametrize(("graph", "inputs"), [(_norm(), ["x"]), (_modulated(), ["x", "scale", "shift"])])
@pytest.mark.parametrize("scheme", ["auto", "fp16", "fp64"])
def test_values_are_kept_within_the_rounding_of_the_format(graph: Graph, inputs: list[str], scheme: str) -> None:
    resolved = graph if scheme == "auto" else graph.with_scheme(scheme)
    generator = np.random.default_rng(0)
    given = {name: generator.standard_normal(graph.tensors[name].shape).astype(np.float32) for name in inputs}
    before, after = run_reference(resolved, given), run_reference(upcast(resolved), given)
    for name, value in before.items():
        assert value.dtype == after[name].dtype
        assert np.allclose(value, after[name], rtol=2e-3, atol=2e-3)


def test_passes_apply_in_the_order_given() -> None:
    graph = _norm().with_scheme("fp16")
    assert apply_passes(graph, ["upcast_norms", "fuse"]) == PASSES["fuse"](upcast(graph))
    assert apply_passes(graph, []) is graph


def test_an_unknown_pass_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no graph pass named 'upcast_norm'; did you mean 'upcast_norms'"):
        apply_passes(_norm(), ["upcast_norm"])


def test_a_name_that_a_pass_needs_must_be_free() -> None:
    b = GraphBuilder("g")
    x = b.add(Relu(), b.input("x", (4, 8)), name="softmax.fp32")
    with pytest.raises(GraphError, match=r"cannot name a node 'softmax\.fp32'"):
        upcast(b.build([b.add(Softmax(), x)], dtype="fp16"))
