"""Packed weights: widened first for many rows, read as they are for few."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.linear import Linear
from hwsim.passes import PASSES


def _layer(rows: int, scheme: str = "w4a16") -> Graph:
    b = GraphBuilder("g")
    return b.build([b.add(Linear(), b.input("x", (rows, 64)), b.weight("w", (32, 64)))]).with_scheme(scheme)


def test_many_rows_pay_a_widening_of_the_weights_that_reads_packed_and_writes_wide_ones() -> None:
    graph = PASSES["quantized_products"](PASSES["dequantize"](_layer(65)))
    assert [node.op.kind for node in graph.nodes] == ["cast", "linear"]
    cast, product = lower(graph).works
    assert (cast.bytes_in, cast.bytes_out) == (32 * 64 * 4.5 / 8, 32 * 64 * 2)
    assert product.b_format == "fp16"


def test_few_rows_take_a_kernel_that_reads_packed_weights() -> None:
    graph = PASSES["quantized_products"](PASSES["dequantize"](_layer(64)))
    assert [node.op.kind for node in graph.nodes] == ["quantized_linear"]
    (work,) = lower(graph).works
    assert (work.kernel, work.b_format, work.compute_format) == ("quantized_linear", "int4", "fp16")


def test_weights_as_wide_as_the_activations_are_left_alone() -> None:
    graph = _layer(65, "fp16")
    assert PASSES["quantized_products"](PASSES["dequantize"](graph)).nodes == graph.nodes


def test_values_stay() -> None:
    graph = _layer(3)
    inputs = {"x": np.random.default_rng(0).standard_normal((3, 64)).astype(np.float16)}
    before, after = (run_reference(each, inputs) for each in (graph, PASSES["quantized_products"](graph)))
    assert np.array_equal(*(list(values.values())[-1] for values in (before, after)))
