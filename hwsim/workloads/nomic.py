"""Nomic Embed (Nussbaum et al. 2024, Nomic Embed: Training a Reproducible Long Context Text Embedder, section 3)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.div import Div
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["nomic_embed_text"]

_VOCABULARY, _SEGMENTS, _WIDTH, _DEPTH, _HEADS = 30_528, 2, 768, 12, 12


@workload(
    title="Nomic Embed Text 1.5",
    source="Nussbaum et al. 2024, Nomic Embed: Training a Reproducible Long Context Text Embedder, section 3",
    item="text",
    published=Published(parameters=136_731_648, source="model card nomic-embed-text-v1.5: 137 M"),
)
def nomic_embed_text(*, batch: int = 1, seq: int = 128, size: int = 512) -> Graph:
    """BERT-base with rotary positions and gated perceptrons; the mean of its tokens, shortened and normalised.

    Args:
        batch: Texts at once.
        seq: Tokens of a text.
        size: Features of the embedding, at most 768.
    """
    b = GraphBuilder("nomic_embed_text")
    with b.scope("embeddings"):
        x = layers.embedding(b, b.input("ids", (batch, seq), "int64"), _VOCABULARY, _WIDTH, name="words")
        segments = b.input("segments", (batch, seq), "int64")
        x = layers.layer_norm(b, layers.add(b, x, layers.embedding(b, segments, _SEGMENTS, _WIDTH, name="segments")))
    for place in range(_DEPTH):
        with b.scope(f"layer{place}"):
            y = layers.attention(b, x, _HEADS, packed=True, bias=False, rope=Rope())
            x = layers.layer_norm(b, layers.add(b, x, y, name="add1"), name="norm1")
            y = layers.gated_mlp(b, x, 4 * _WIDTH)
            x = layers.layer_norm(b, layers.add(b, x, y, name="add2"), name="norm2")
    x = _mean(b, x, b.input("mask", (batch, seq, 1)))
    x = b.add(Slice(1, 0, min(size, _WIDTH)), layers.layer_norm(b, x, "pooled_norm", affine=False))
    x = b.add(Div(), x, b.add(ReduceAxes("l2", (1,), True), x), name="normalised")
    return b.build([x], items=batch, item="text", info={"tokens": batch * seq})


def _mean(b: GraphBuilder, x: Tensor, mask: Tensor) -> Tensor:
    """(batch, features): the mean over the tokens that the mask keeps."""
    total = b.add(ReduceAxes("sum", (1,)), layers.multiply(b, x, mask), name="total")
    return b.add(Div(), total, b.add(ReduceAxes("sum", (1,)), mask, name="count"), name="mean")
