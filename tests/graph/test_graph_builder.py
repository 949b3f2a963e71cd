"""Building graphs node by node: names, scopes, phases, growth, formats."""

from __future__ import annotations

import pytest

from hwsim.errors import GraphError, InputError, ShapeError
from hwsim.graph.graph import Graph, GraphBuilder, Phase
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.relu import Relu
from hwsim.operators.split import Split


def decoder(prompt: int = 10, tokens: int = 5) -> Graph:
    """One attention layer that decodes ``tokens`` tokens with a cache of ``prompt`` and more entries."""
    b = GraphBuilder("decoder")
    b.phase("decode", repeat=tokens)
    new = b.input("new", (1, 2, 1, 8))
    cache = b.state("cache", (1, 2, prompt, 8), step=(0, 0, 1, 0))
    keys = b.add(Append(2), cache, new)
    return b.build([b.add(Attention(causal=True), new, keys, keys)], items=tokens, item="token", dtype="fp16")


def test_scopes_prefix_nodes_and_weights() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2, 4))
    with b.scope("block"), b.scope("mlp"):
        y = b.add(Linear(), x, b.weight("w", (3, 4)))
    assert (y.name, b.add(Relu(), y).name) == ("block.mlp.linear", "relu")
    assert "block.mlp.w" in b.build([y]).tensors


def test_repeated_names_are_numbered() -> None:
    b = GraphBuilder("g")
    x = b.input("x", (2,))
    names = [b.add(Relu(), x, name=name).name for name in ("a", "a", "a_1", "a", "x")]
    assert names == ["a", "a_1", "a_1_1", "a_2", "x_1"]


def test_outputs_of_one_node_are_numbered() -> None:
    b = GraphBuilder("g")
    parts = b.add_all(Split(0, (1, 3)), b.input("x", (4,)))
    assert [(t.name, t.shape) for t in parts] == [("split:0", (1,)), ("split:1", (3,))]


def test_two_tensors_of_one_name_are_refused() -> None:
    b = GraphBuilder("g")
    b.input("x", (2,))
    with pytest.raises(GraphError, match="two tensors are named 'x'"):
        b.input("x", (3,))


def test_a_tensor_of_another_graph_is_refused() -> None:
    x = GraphBuilder("one").input("x", (2,))
    with pytest.raises(GraphError, match="node 'relu': its input 'x' belongs to another graph"):
        GraphBuilder("two").add(Relu(), x)


def test_a_shape_error_names_the_node() -> None:
    b = GraphBuilder("g")
    with b.scope("layer"), pytest.raises(ShapeError, match=r"node 'layer\.matmul': matmul of"):
        b.add(Matmul(), b.input("x", (2, 3)), b.input("y", (4, 5)))


def test_phases_hold_their_nodes_and_repeats() -> None:
    b = GraphBuilder("g")
    x = b.add(Relu(), b.input("x", (2,)))
    b.phase("loop", repeat=50)
    y = b.add(Relu(), b.add(Relu(), x))
    b.phase("nothing")
    b.phase("end")
    graph = b.build([b.add(Relu(), y)])
    assert graph.phases == (Phase("main", 0, 1), Phase("loop", 1, 3, 50), Phase("end", 3, 4))
    assert graph.predecessors == [(), (), (1,), ()]
    assert graph.flop == 2 * (1 + 50 * 2 + 1)


def test_a_phase_repeats_at_least_once() -> None:
    with pytest.raises(InputError, match="phase 'loop': repeat must be at least 1, not 0"):
        GraphBuilder("g").phase("loop", repeat=0)


def test_a_growing_cache_makes_what_depends_on_it_grow() -> None:
    graph = decoder()
    assert graph.tensors["append"].step == (0, 0, 1, 0)
    assert graph.tensors["append"].at(4).shape == (1, 2, 15, 8)
    assert graph.tensors["attention"].step == ()


def test_work_of_all_repeats_counts_the_growth() -> None:
    """Keys at repeat i: 11 + i; two products of 2 heads x 8: 32 MACs a key."""
    assert decoder(prompt=10, tokens=5).macs == 32 * (11 + 12 + 13 + 14 + 15)


def test_a_growth_of_another_rank_is_refused() -> None:
    with pytest.raises(ShapeError, match="tensor 'c': step"):
        GraphBuilder("g").state("c", (2, 3), step=(1,))


def test_formats_are_resolved_by_a_scheme() -> None:
    b = GraphBuilder("g")
    ids = b.input("ids", (4,), "int32")
    y = b.add(Linear(), b.input("x", (2, 4)), b.weight("w", (3, 4)))
    graph = b.build([y])
    assert graph.is_auto
    mixed = graph.with_scheme("w4a16")
    assert [mixed.tensors[n].type.format for n in ("w", "x", "linear", ids.name)] == ["int4", "fp16", "fp16", "int32"]
    assert (mixed.is_auto, mixed.scheme and mixed.scheme.matrix) == (False, "fp16")
    assert graph.is_auto


def test_parameters_are_the_elements_of_weights_and_not_of_states() -> None:
    b = GraphBuilder("g")
    b.state("mean", (7,))
    y = b.add(Linear(), b.input("x", (2, 4)), b.weight("w", (3, 4)), b.weight("bias", (3,)))
    graph = b.build([y], dtype="int8")
    assert (graph.parameters, graph.weight_bytes) == (15, 15)


def test_tags_go_to_the_nodes_added_after_them() -> None:
    b = GraphBuilder("g")
    x = b.add(Relu(), b.input("x", (2,)))
    b.tag("encoder")
    graph = b.build([b.add(Relu(), x)])
    assert [node.tags for node in graph.nodes] == [(), ("encoder",)]
