"""Dropout: one kernel more behind each block and each softmax of attention, with a mask of one byte an element."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.graph.work import Map
from hwsim.passes import apply_text
from hwsim.workloads import layers


def _block() -> Graph:
    """Attention of two heads over 2 x 8 tokens of 16 features and a perceptron, each added to what went in."""
    b = GraphBuilder("g")
    x = layers.linear(b, b.input("x", (2, 8, 16)), 16, name="first")
    x = layers.add(b, x, layers.attention(b, x, 2), name="add1")
    return b.build([layers.add(b, x, layers.mlp(b, x, 64), name="add2")], dtype="fp32")


def _dropped(text: str) -> list[str]:
    return [node.name for node in apply_text(_block(), text).nodes if node.name.endswith(".dropped")]


def test_blocks_and_attention_drop_what_they_add_and_weigh() -> None:
    assert [name.split(".")[-2] for name in _dropped("unfuse_attention,dropout")] == ["softmax", "out", "down"]
    assert [name.split(".")[-2] for name in _dropped("unfuse_attention,dropout:attention=false")] == ["out", "down"]


def test_a_mask_moves_one_byte_an_element_there_and_back() -> None:
    """2 x 8 x 16 numbers of 4 bytes in and out, 256 bytes of mask; the gradient takes the same way."""
    step = apply_text(_block(), "unfuse_attention,dropout:attention=false,backward:optimizer=none")
    lowered = lower(step)
    rows = [lowered.works[row] for row in lowered.row_ids]
    masked = [w for w in rows if isinstance(w, Map) and w.kernel == "mul" and w.bytes_in == 1024 + 256]
    assert len(masked) == 4
    assert {w.bytes_out for w in masked} == {1024}
