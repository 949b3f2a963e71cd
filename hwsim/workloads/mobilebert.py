"""MobileBERT (Sun et al. 2020, A Compact Task-Agnostic BERT for Resource-Limited Devices, Fig. 1(c), Table 1).

Details as in transformers (google/mobilebert-uncased): words of 128 joined with their neighbours, keys and queries of
one shared bottleneck, values of the wide input, norms that are a scale and a shift.
"""

from __future__ import annotations

from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.pad import Pad
from hwsim.operators.slice import Slice
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["mobilebert"]

_VOCAB, _POSITIONS, _DEPTH, _WIDTH, _NARROW, _HEADS, _STACKED = 30_522, 512, 24, 512, 128, 4, 4


def _scaled(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """A scale and a shift over features, in place of layer normalisation (section 4.6.1)."""
    scale, shift = layers.norm_weights(b, x.shape[-1], name=name)
    return layers.add(b, layers.multiply(b, x, scale, name=f"{name}_scale"), shift, name=f"{name}_shift")


def _feed(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    with b.scope(name):
        y = layers.activation(b, layers.linear(b, x, 4 * _NARROW, name="up"), "relu")
        return _scaled(b, layers.add(b, layers.linear(b, y, _NARROW, name="down"), x), "norm")


def _layer(b: GraphBuilder, x: Tensor) -> Tensor:
    narrow = _scaled(b, layers.linear(b, x, _NARROW, name="input"), "input_norm")
    shared = _scaled(b, layers.linear(b, x, _NARROW, name="shared"), "shared_norm")
    q, k, v = (
        layers.split_heads(b, layers.linear(b, y, _NARROW, name=name), _HEADS, name=f"{name}_heads")
        for name, y in (("q", shared), ("k", shared), ("v", x))
    )
    y = layers.merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
    y = _scaled(b, layers.add(b, layers.linear(b, y, _NARROW, name="out"), narrow), "attention_norm")
    for place in range(_STACKED):
        y = _feed(b, y, f"feed{place}")
    return _scaled(b, layers.add(b, layers.linear(b, y, _WIDTH, name="output"), x), "output_norm")


@workload(
    title="MobileBERT",
    source="Sun et al. 2020, MobileBERT: a Compact Task-Agnostic BERT for Resource-Limited Devices, Table 1",
    item="sequence",
    maximum={"seq": _POSITIONS},
    published=Published(parameters=24_582_914, source="MobileBertForQuestionAnswering in transformers"),
)
def mobilebert(*, batch: int = 1, seq: int = 128, head: Literal["span", "words"] = "span") -> Graph:
    """Text encoder of 24 narrow layers.

    Args:
        batch: Sequences at once.
        seq: Tokens of a sequence, at most 512.
        head: span (two scores a token, for questions about the text) or words (scores of the vocabulary).
    """
    b = GraphBuilder("mobilebert")
    with b.scope("embeddings"):
        x = layers.embedding(b, b.input("ids", (batch, seq), "int64"), _VOCAB, _NARROW, name="words")
        padded = b.add(Pad(((0, 0), (1, 1), (0, 0))), x)
        around = [b.add(Slice(1, start, start + seq), padded, name=f"neighbour{start}") for start in (2, 0)]
        x = layers.linear(b, b.add(Concat(2), around[0], x, around[1]), _WIDTH, name="project")
        segments, places = b.input("segments", (batch, seq), "int64"), b.input("positions", (1, seq), "int64")
        x = layers.add(b, x, layers.embedding(b, places, _POSITIONS, _WIDTH, name="positions"), name="add_places")
        x = layers.add(b, x, layers.embedding(b, segments, 2, _WIDTH, name="segments"), name="add_segments")
        x = _scaled(b, x, "norm")
    for place in range(_DEPTH):
        with b.scope(f"layer{place}"):
            x = _layer(b, x)
    if head == "words":
        y = layers.activation(b, layers.linear(b, x, _WIDTH, name="transform"), "relu")
        x = layers.linear(b, layers.layer_norm(b, y, name="transform_norm"), _VOCAB, name="vocabulary")
    else:
        x = layers.linear(b, x, 2, name="span")
    return b.build([x], items=batch, item="sequence", info={"tokens": batch * seq})
