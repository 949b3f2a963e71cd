"""Chips that know one float format."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.operators.cast import Cast
from hwsim.operators.mul import Mul
from hwsim.operators.relu import Relu
from hwsim.passes import PASSES


def _widened(dtype: str) -> Graph:
    b = GraphBuilder("g")
    x = b.add(Cast("fp32"), b.input("x", (4, 16)), name="wide")
    x = b.add(Mul(), x, x, name="square")
    return b.build([b.add(Relu(), b.add(Cast(), x, name="narrow"), name="relu")], dtype=dtype)


def test_what_was_widened_runs_in_the_format_of_the_model_without_casts() -> None:
    after = PASSES["narrow_floats"](_widened("fp16"))
    assert [node.name for node in after.nodes] == ["square", "relu"]
    assert {t.type.format for t in after.tensors.values()} == {"fp16"}
    assert after.nodes[0].inputs == ("x", "x")


def test_a_model_in_fp32_only_loses_casts_that_do_nothing() -> None:
    after = PASSES["narrow_floats"](_widened("fp32"))
    assert [node.name for node in after.nodes] == ["square", "relu"]


def test_a_graph_without_fp32_stays_as_it_is() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(Relu(), b.input("x", (4,)))], dtype="fp16")
    assert PASSES["narrow_floats"](graph) is graph
