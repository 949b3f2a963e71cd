"""Layout changes that are views: no Work, the same values."""

from __future__ import annotations

import numpy as np

from hwsim.functional.run import run_reference
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.operators.relu import Relu
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.passes import PASSES, apply_passes
from hwsim.workloads import layers


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


def test_values_stay() -> None:
    graph = _attention()
    generator = np.random.default_rng(2)
    inputs = {
        t.name: generator.standard_normal(t.shape) for t in graph.tensors.values() if t.name not in graph.producer
    }
    after = apply_passes(graph, ("split_views", "channels_last", "strided_attention"))
    assert np.allclose(*(list(run_reference(each, inputs).values())[-1] for each in (graph, after)))
