"""Marian translation (Junczys-Dowmunt et al. 2018, Marian: Fast Neural Machine Translation in C++; OPUS-MT models).

Six layers each way of a post-norm Transformer (Vaswani et al. 2017, Fig. 1 and Table 3, base) with SiLU, one table of
words for both languages, as the configuration of Helsinki-NLP/opus-mt-en-es has it. The encoder also makes the keys and
values that every step of the decoder attends to.
"""

from __future__ import annotations

from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.embedding import Embedding
from hwsim.operators.linear import Linear
from hwsim.workloads import layers
from hwsim.workloads.registry import workload

__all__ = ["opus_mt"]

_VOCAB, _POSITIONS, _DEPTH, _WIDTH, _HEADS, _HIDDEN = 65_001, 512, 6, 512, 8, 2048
_Pair = tuple[Tensor, Tensor]


def _embedded(b: GraphBuilder, words: Tensor, batch: int, seq: int, name: str) -> Tensor:
    """Words, scaled, and sinusoids of their places."""
    x = b.add(Embedding(), b.input(f"{name}_ids", (batch, seq), "int64"), words, name=f"{name}_words")
    x = layers.multiply(b, x, b.state(f"{name}_scale", (1,)), name=f"{name}_scaled")
    return layers.add(b, x, b.state(f"{name}_places", (1, seq, _WIDTH)), name=f"{name}_placed")


def _normed(b: GraphBuilder, x: Tensor, y: Tensor, name: str) -> Tensor:
    return layers.layer_norm(b, layers.add(b, x, y, name=f"{name}_add"), name=f"{name}_norm")


def _heads(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.split_heads(b, layers.linear(b, x, _WIDTH, name=name), _HEADS, name=f"{name}_heads")


def _attended(b: GraphBuilder, x: Tensor, k: Tensor, v: Tensor, name: str) -> Tensor:
    y = b.add(Attention(), _heads(b, x, f"{name}_q"), k, v, name=f"{name}_attention")
    return layers.linear(b, layers.merge_heads(b, y, name=f"{name}_merge"), _WIDTH, name=f"{name}_out")


def _encoded(b: GraphBuilder, words: Tensor, batch: int, seq: int) -> Tensor:
    x = _embedded(b, words, batch, seq, "source")
    for place in range(_DEPTH):
        with b.scope(f"encoder.{place}"):
            x = _normed(b, x, layers.attention(b, x, _HEADS), "attention")
            x = _normed(b, x, layers.mlp(b, x, _HIDDEN, act="silu"), "mlp")
    return x


def _stepped(b: GraphBuilder, words: Tensor, batch: int, context: int, cross: list[_Pair]) -> Tensor:
    """Scores of the vocabulary for one more token."""
    x = _embedded(b, words, batch, 1, "target")
    shape = (batch, _HEADS, context, _WIDTH // _HEADS)
    for place in range(_DEPTH):
        with b.scope(f"decoder.{place}"):
            k = b.add(Append(2), b.state("k_cache", shape), _heads(b, x, "self_k"), name="k_cache")
            v = b.add(Append(2), b.state("v_cache", shape), _heads(b, x, "self_v"), name="v_cache")
            x = _normed(b, x, _attended(b, x, k, v, "self"), "self")
            x = _normed(b, x, _attended(b, x, *cross[place], "cross"), "cross")
            x = _normed(b, x, layers.mlp(b, x, _HIDDEN, act="silu"), "mlp")
    return b.add(Linear(), x, words, b.weight("scores.bias", (_VOCAB,)), name="scores")


@workload(
    title="OPUS-MT",
    source="Junczys-Dowmunt et al. 2018, Marian; configuration of Helsinki-NLP/opus-mt-en-es",
    item="sentence",
    maximum={"seq": _POSITIONS, "context": _POSITIONS - 1},
)
def opus_mt(
    *, batch: int = 1, seq: int = 256, context: int = 255, phase: Literal["encode", "decode"] = "encode"
) -> Graph:
    """Translation of a sentence: the encoder, or one step of the decoder.

    Args:
        batch: Sentences at once.
        seq: Tokens of the sentence to translate, at most 512.
        context: Tokens of the translation already cached in decode.
        phase: encode (the sentence, with the keys and values of all decoder layers) or decode (one token).
    """
    b = GraphBuilder("opus_mt")
    words = b.weight("words", (_VOCAB, _WIDTH))
    cross: list[_Pair] = []
    if phase == "encode":
        x = _encoded(b, words, batch, seq)
        for place in range(_DEPTH):
            with b.scope(f"cross.{place}"):
                cross.append((_heads(b, x, "k"), _heads(b, x, "v")))
        return b.build([tensor for pair in cross for tensor in pair], items=batch, item="sentence")
    shape = (batch, _HEADS, seq, _WIDTH // _HEADS)
    with b.scope("cross_cache"):
        cross = [(b.state(f"{place}.k", shape), b.state(f"{place}.v", shape)) for place in range(_DEPTH)]
    outputs = [_stepped(b, words, batch, context, cross)]
    return b.build(outputs, items=batch, item="token", info={"generated_tokens": 1})
