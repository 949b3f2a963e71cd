"""ALBERT (Lan et al. 2020, ALBERT: A Lite BERT for Self-supervised Learning, section 3), base, version 2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.attention import Attention
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.workloads import layers
from hwsim.workloads.bert import word_scores
from hwsim.workloads.registry import Published, workload

__all__ = ["albert_base"]

_VOCAB, _POSITIONS, _NARROW, _WIDTH, _DEPTH, _HEADS = 30_000, 512, 128, 768, 12, 12
_Weights = Mapping[str, tuple[Tensor, ...]]


def _weights(b: GraphBuilder) -> _Weights:
    """Those of the one layer that is run twelve times."""
    sizes = {"q": (_WIDTH, _WIDTH), "k": (_WIDTH, _WIDTH), "v": (_WIDTH, _WIDTH), "out": (_WIDTH, _WIDTH)}
    sizes |= {"up": (4 * _WIDTH, _WIDTH), "down": (_WIDTH, 4 * _WIDTH)}
    with b.scope("shared"):
        found = {name: layers.linear_weights(b, *size, name=name) for name, size in sizes.items()}
        return found | {name: layers.norm_weights(b, _WIDTH, name=name) for name in ("norm1", "norm2")}


def _layer(b: GraphBuilder, x: Tensor, weights: _Weights) -> Tensor:
    q, k, v = (
        layers.split_heads(b, b.add(Linear(), x, *weights[name], name=name), _HEADS, name=f"{name}_heads")
        for name in ("q", "k", "v")
    )
    y = layers.merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
    x = layers.add(b, x, b.add(Linear(), y, *weights["out"], name="out"), name="add1")
    x = b.add(LayerNorm(), x, *weights["norm1"], name="norm1")
    y = layers.activation(b, b.add(Linear(), x, *weights["up"], name="up"), "gelu_new")
    x = layers.add(b, x, b.add(Linear(), y, *weights["down"], name="down"), name="add2")
    return b.add(LayerNorm(), x, *weights["norm2"], name="norm2")


@workload(
    title="ALBERT-base",
    source="Lan et al. 2020, ALBERT: A Lite BERT for Self-supervised Learning of Language Representations, Table 1",
    item="sequence",
    maximum={"seq": _POSITIONS},
    published=Published(parameters=11_092_992, tolerance=0.001, source="AlbertModel in transformers, without pooler"),
)
def albert_base(*, batch: int = 1, seq: int = 128, head: Literal["none", "words"] = "none") -> Graph:
    """Text encoder of twelve layers that share their weights, on embeddings of 128 features.

    Args:
        batch: Sequences at once.
        seq: Tokens of a sequence, at most 512.
        head: none, or words (scores of the vocabulary for every token).
    """
    b = GraphBuilder("albert_base")
    with b.scope("embeddings"):
        x = layers.embedding(b, b.input("ids", (batch, seq), "int64"), _VOCAB, _NARROW, name="words")
        segments, places = b.input("segments", (batch, seq), "int64"), b.input("positions", (1, seq), "int64")
        x = layers.add(b, x, layers.embedding(b, segments, 2, _NARROW, name="segments"), name="add_segments")
        x = layers.add(b, x, layers.embedding(b, places, _POSITIONS, _NARROW, name="positions"), name="add_places")
        x = layers.linear(b, layers.layer_norm(b, x), _WIDTH, name="project")
    weights = _weights(b)
    for place in range(_DEPTH):
        with b.scope(f"layer{place}"):
            x = _layer(b, x, weights)
    x = word_scores(b, x, _NARROW, _VOCAB) if head == "words" else x
    return b.build([x], items=batch, item="sequence", info={"tokens": batch * seq})
