"""Layout changes that are views: no Work, the same values."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.passes import PASSES, apply_passes
from hwsim.workloads import layers
from hwsim.workloads.image_layers import standard_conv


def _attention() -> Graph:
    b = GraphBuilder("g")
    return b.build([layers.attention(b, b.input("x", (2, 8, 16)), 4, packed=True)])


def test_q_k_and_v_of_one_product_are_read_where_they_lie() -> None:
    graph = _attention().with_scheme("fp16")
    views = apply_passes(graph, ("split_views", "strided_attention"))
    assert {work.kernel for work in lower(graph).works} >= {"split", "transpose"}
    assert {work.kernel for work in lower(views).works} == {"linear", "attention_prefill"}


def test_a_split_that_something_else_reads_stays_a_copy() -> None:
    b = GraphBuilder("g")
    first, second = b.add_all(Split(1, (4, 4)), b.input("x", (2, 8)))
    graph = b.build([b.add(Relu(), first), b.add(Relu(), second)])
    assert PASSES["split_views"](graph).nodes == graph.nodes


def test_images_change_between_channels_second_and_last_for_nothing() -> None:
    b = GraphBuilder("g")
    last = b.add(Transpose((0, 2, 3, 1)), b.input("x", (1, 2, 3, 4)))
    graph = b.build([b.add(Transpose((0, 3, 1, 2)), b.add(Relu(), last))]).with_scheme("fp16")
    assert {work.kernel for work in lower(PASSES["channels_last"](graph)).works} == {"relu"}
    other = GraphBuilder("o")
    turned = other.build([other.add(Transpose((0, 1, 3, 2)), other.input("x", (1, 2, 3, 4)))])
    assert PASSES["channels_last"](turned).nodes == turned.nodes


def _kernels(graph: Graph, *passes: str) -> list[str]:
    low = lower(apply_passes(graph.with_scheme("fp16"), passes))
    times = low.count().tolist()
    return sorted(w.kernel for w, count in zip(low.works, times, strict=True) for _ in range(count))


def test_an_image_becomes_a_sequence_of_pixels_and_back_for_nothing() -> None:
    b = GraphBuilder("g")
    pixels = b.add(Transpose((0, 2, 1)), b.add(Reshape((2, 8, 16)), b.input("x", (2, 8, 4, 4))))
    image = b.add(Reshape((2, 8, 4, 4)), b.add(Transpose((0, 2, 1)), b.add(Relu(), pixels)))
    assert _kernels(b.build([image]), "channels_last") == ["relu"]
    other = GraphBuilder("o")
    turned = other.build([other.add(Transpose((0, 2, 1)), other.input("x", (2, 8, 16)))])
    assert _kernels(turned, "channels_last") == ["transpose"]


def test_slices_are_views_for_kernels_that_read_with_strides() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2, 8, 16))
    graph = b.build([b.add(Relu(), b.add(Slice(1, 1, None), x)), layers.linear(b, b.add(Slice(1, 0, 4), x), 4)])
    assert _kernels(graph) == ["linear", "relu", "slice", "slice"]
    assert _kernels(graph, "strided_reads") == ["linear", "relu", "slice"]


def test_a_group_norm_of_an_image_is_copied_to_channels_second_and_back() -> None:
    b = GraphBuilder("g")
    y = layers.group_norm(b, layers.conv(b, b.input("x", (1, 8, 4, 4)), 8, 3), 4)
    assert _kernels(b.build([y]), "norms_channels_second") == ["conv2d", "groupnorm", "transpose", "transpose"]
    c = GraphBuilder("computed")
    y = layers.group_norm(c, standard_conv(c, c.input("x", (1, 8, 4, 4)), 8, 3, name="conv"), 4)
    assert "transpose" not in _kernels(c.build([y]), "norms_channels_second")


def test_groups_of_a_power_of_two_channels_need_no_copies() -> None:
    found = {}
    for width in (8, 24):
        b = GraphBuilder("g")
        y = layers.conv(b, b.input("x", (1, 2 * width, 4, 4)), 2 * width, 3, groups=2)
        found[width] = _kernels(b.build([y]), "groups_channels_second").count("transpose")
    assert found == {8: 0, 24: 2}


def test_values_stay() -> None:
    graph = _attention()
    generator = np.random.default_rng(2)
    inputs = {
        t.name: generator.standard_normal(t.shape) for t in graph.tensors.values() if t.name not in graph.producer
    }
    after = apply_passes(graph, ("split_views", "channels_last", "strided_attention"))
    assert np.allclose(*(list(run_reference(each, inputs).values())[-1] for each in (graph, after)))
