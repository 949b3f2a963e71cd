"""Lowering: equal operators share a row, growth is kept, tables hold the columns."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import GraphError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.tensor import FORMAT_CODE
from hwsim.graph.work import Form
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose


def _layers(count: int, width: int = 8, dtype: str = "fp16") -> Graph:
    b = GraphBuilder("layers")
    x = b.input("x", (4, width))
    for _ in range(count):
        x = b.add(Relu(), b.add(Linear(), x, b.weight(f"w{len(b._nodes)}", (width, width))))
    return b.build([x], dtype=dtype)


def test_equal_operators_share_a_row() -> None:
    lowered = lower(_layers(50))
    assert [work.kernel for work in lowered.works] == ["linear", "relu"]
    assert lowered.count().tolist() == [50, 50]
    assert lowered.row_ids.tolist() == [0, 1] * 50
    assert lowered.node_of.tolist() == list(range(100))


def test_operators_of_other_shapes_or_formats_have_rows_of_their_own() -> None:
    assert lower(_layers(1)).works != lower(_layers(1, dtype="bf16")).works
    b = GraphBuilder("g")
    b.add(Relu(), b.input("x", (4,)))
    graph = b.build([b.add(Relu(), b.input("y", (5,)))], dtype="fp16")
    assert len(lower(graph).works) == 2


def test_a_view_has_no_row_and_a_split_one_per_piece() -> None:
    b = GraphBuilder("g")
    x = b.add(Reshape((2, -1)), b.input("x", (8, 64)))
    graph = b.build(list(b.add_all(Split(1, (64, 192)), x)), dtype="fp16")
    lowered = lower(graph)
    assert lowered.row_start.tolist() == [0, 0, 2]
    assert [work.elements for work in lowered.works] == [128, 384]


def test_products_with_weights_run_in_the_matrix_format_of_the_scheme() -> None:
    (linear, _), (quantized, _) = (lower(_layers(1, dtype=d)).works for d in ("w4a16", "fp8_w8a8"))
    assert (linear.a_format, linear.b_format, linear.compute_format) == ("fp16", "int4", "fp16")
    assert (quantized.a_format, quantized.b_format, quantized.compute_format) == ("bf16", "fp8", "fp8")


def _decoder(prompt: int, tokens: int, layers: int = 3) -> Graph:
    b = GraphBuilder("decoder")
    b.phase("decode", repeat=tokens)
    x = b.input("x", (1, 4, 1, 8))
    for i in range(layers):
        cache = b.state(f"cache{i}", (1, 2, prompt, 8), step=(0, 0, 1, 0))
        new = b.input(f"new{i}", (1, 2, 1, 8))
        keys = b.add(Append(2), cache, new)
        x = b.add(Attention(causal=True), x, keys, keys)
    return b.build([x], dtype="fp16")


def test_only_what_grows_is_recorded_as_growth() -> None:
    lowered = lower(_decoder(prompt=10, tokens=5))
    assert [work.kernel for work in lowered.works] == ["append", "attention_decode"]
    assert lowered.growth == {1: {"seq_kv": 1}}
    assert lowered.at(1, 0).seq_kv == 11
    assert lowered.at(1, 4).seq_kv == 15
    assert lowered.count().tolist() == [15, 15]
    assert lowered.count(repeats=False).tolist() == [3, 3]


@given(prompt=st.integers(1, 20), tokens=st.integers(1, 6))
def test_repeats_ask_for_the_work_of_their_graphs_written_out(prompt: int, tokens: int) -> None:
    written_out = sum(_decoder(prompt + i, 1).macs for i in range(tokens))
    assert _decoder(prompt, tokens).macs == written_out


def test_work_that_appears_only_at_a_later_repeat_is_refused_naming_the_node() -> None:
    """A cache of one entry is transposed by a view, one of two entries by a copy."""
    b = GraphBuilder("g")
    b.phase("decode", repeat=2)
    cache = b.state("cache", (1, 2, 1, 8), step=(0, 0, 1, 0))
    graph = b.build([b.add(Transpose((0, 2, 1, 3)), cache, name="swap")], dtype="fp16")
    with pytest.raises(GraphError, match=r"node 'swap' asks for 0 pieces .* and 1 at the next"):
        lower(graph)


def test_a_table_holds_fields_and_counts_as_columns() -> None:
    lowered = lower(_layers(2))
    gemm, maps = lowered.tables[Form.GEMM], lowered.tables[Form.MAP]
    assert list(lowered.tables) == [Form.GEMM, Form.MAP]
    assert gemm.m.shape == (1, 1)
    assert (gemm.m.item(), gemm.macs.item(), gemm.bytes_in.item()) == (4.0, 256.0, 192.0)
    assert gemm.compute_format.item() == FORMAT_CODE["fp16"]
    assert gemm.m.dtype == np.float64
    assert (maps.keys, maps.key.tolist(), maps.index.tolist()) == ((("relu", "fp16"),), [0], [1])


def test_a_pattern_is_a_number_in_a_table() -> None:
    b = GraphBuilder("g")
    graph = b.build([b.add(AllReduce(4), b.input("x", (8,)))], dtype="fp16")
    table = tables_of(lower(graph).works)[Form.COLLECTIVE]
    assert (table.pattern.item(), table.participants.item(), table.bytes.item()) == (0, 4, 16)


def test_an_empty_graph_lowers_to_nothing() -> None:
    lowered = lower(Graph.from_nodes("empty", [], {}))
    assert (lowered.works, len(lowered.row_ids), lowered.total("macs")) == ((), 0, 0)


def test_an_unsigned_format_is_priced_as_the_signed_one_of_its_width() -> None:
    def graph(fmt: str) -> Graph:
        b = GraphBuilder("one")
        return b.build([b.add(Relu(), b.input("x", (2, 3), fmt))])

    (signed,), (unsigned,) = (tables_of(lower(graph(fmt)).works).values() for fmt in ("int8", "uint8"))
    assert unsigned.format.tolist() == signed.format.tolist() == [[FORMAT_CODE["int8"]]]
    assert unsigned.works[0].format == "uint8"
