"""Decoders of fixed shapes: caches that are joined anew, and what stays 8 bits wide."""

from __future__ import annotations

import pytest

from hwsim.graph.graph import Graph
from hwsim.graph.lowering import lower
from hwsim.operators.append import Append
from hwsim.passes import apply_text
from hwsim.workloads import WORKLOADS


@pytest.fixture(scope="module")
def decoder() -> Graph:
    """One layer of two heads of 16 that share keys, 31 tokens cached, 4-bit weights, 16-bit activations."""
    shape = {"layers": 1, "width": 32, "heads": 2, "kv_heads": 1, "hidden": 64, "vocab": 100}
    return WORKLOADS["llm"].build(phase="decode", context=31, dtype="w4a16_int", **shape)


def _bytes(graph: Graph, kernel: str) -> list[tuple[int, int]]:
    return [(work.bytes_in, work.bytes_out) for work in lower(graph).works if work.kernel == kernel]


def test_joined_caches_are_read_and_written_whole(decoder: Graph) -> None:
    """31 rows of 16 and a new one, 2 B each; in place only the new one moves."""
    assert _bytes(decoder, "append") == [(32, 32)]
    assert _bytes(apply_text(decoder, "joined_caches"), "append") == [(2 * 32 * 16, 2 * 32 * 16)]


def test_caches_in_int8_take_half_of_16_bits(decoder: Graph) -> None:
    narrow = apply_text(decoder, "int8_caches")
    grown = [node.outputs[0] for node in narrow.nodes if isinstance(node.op, Append)]
    assert [narrow.tensors[name].type.format for name in grown] == ["int8", "int8"]
    assert _bytes(apply_text(decoder, "joined_caches,int8_caches"), "append") == [(31 * 16 + 32, 32 * 16)]


def test_only_the_last_product_has_weights_in_int8(decoder: Graph) -> None:
    works = lower(apply_text(decoder, "int8_head")).works
    assert {(work.n, work.b_format) for work in works if work.kernel == "linear"} == {
        (n, "int8" if n == 100 else "int4") for n in (32, 16, 64, 100)
    }
