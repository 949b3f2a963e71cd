"""Formats under mixed precision: products narrow, norms wide, learned factors widen what they meet."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.tensor import Tensor
from hwsim.operators.softmax import Softmax
from hwsim.passes import PASSES, apply_passes
from hwsim.workloads import layers
from hwsim.workloads.timm.preact import PreActivated


def _after(b: GraphBuilder, y: Tensor) -> tuple[Graph, list[tuple[str, str]]]:
    """The graph under mixed precision, and kind and format of what each operator makes."""
    graph = PASSES["autocast"](b.build([y]).with_scheme("fp16"))
    return graph, [(node.op.kind, graph.tensors[node.outputs[0]].type.format) for node in graph.nodes]


def test_a_layer_norm_runs_in_fp32_between_casts() -> None:
    b = GraphBuilder("g")
    y = layers.linear(b, layers.layer_norm(b, layers.linear(b, b.input("x", (2, 8)), 8)), 8, name="last")
    _, found = _after(b, y)
    assert found == [
        *(("linear", "fp16"), ("cast", "fp32"), ("layernorm", "fp32"), ("cast", "fp16"), ("linear", "fp16")),
    ]


def test_a_layer_norm_that_keeps_its_format_needs_no_cast() -> None:
    b = GraphBuilder("g")
    y = layers.linear(b, layers.layer_norm(b, layers.linear(b, b.input("x", (2, 8)), 8), kept=True), 8, name="last")
    assert _after(b, y)[1] == [("linear", "fp16"), ("layernorm", "fp16"), ("linear", "fp16")]


def test_a_learned_factor_widens_the_residual_behind_it() -> None:
    b = GraphBuilder("g")
    x = layers.linear(b, b.input("x", (2, 8)), 8)
    y = layers.add(b, x, layers.multiply(b, x, b.weight("scale", (8,))))
    assert _after(b, y)[1] == [("linear", "fp16"), ("mul", "fp32"), ("add", "fp32")]


def test_a_number_of_the_program_widens_nothing() -> None:
    b = GraphBuilder("g")
    y = layers.multiply(b, layers.linear(b, b.input("x", (2, 8)), 8), b.state("half", (1,)))
    assert _after(b, y)[1] == [("linear", "fp16"), ("mul", "fp16")]


def test_softmax_reads_fp16_and_writes_fp32() -> None:
    b = GraphBuilder("g")
    graph, found = _after(b, b.add(Softmax(), layers.linear(b, b.input("x", (2, 8)), 8)))
    (work,) = (work for work in lower(graph).works if work.kernel == "softmax")
    assert found == [("linear", "fp16"), ("softmax", "fp32")]
    assert (work.bytes_in, work.bytes_out) == (32, 64)


def test_the_bias_of_a_convolution_is_a_kernel_of_its_own_in_the_narrow_format() -> None:
    b = GraphBuilder("g")
    graph = b.build([layers.conv(b, b.input("x", (1, 3, 8, 8)), 4, 3)]).with_scheme("fp16")
    after = apply_passes(graph, ("autocast", "biases_apart"))
    assert [work.kernel for work in lower(after).works] == ["conv2d", "add"]
    assert {t.type.format for t in after.tensors.values() if t.role == "activation"} == {"fp16"}


def test_values_stay() -> None:
    b = GraphBuilder("g")
    network = PreActivated(depths=(1, 1, 1, 1), norm="group", standard=True)
    graph = b.build([network(b, b.input("image", (1, 3, 32, 32)), 10)])
    image = np.random.default_rng(3).standard_normal((1, 3, 32, 32))
    passes = ("autocast", "biases_apart", "strided_reads", "norms_channels_second", "groups_channels_second")
    before, after = (
        next(iter(run_reference(each, {"image": image}).values())) for each in (graph, apply_passes(graph, passes))
    )
    assert np.allclose(before, after, rtol=1e-4, atol=1e-5)
