"""BERT encoders (Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, section 3)."""

from __future__ import annotations

from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["bert_base", "bert_large", "distilbert", "word_scores"]

_SOURCE = "Devlin et al. 2019, BERT: Pre-training of Deep Bidirectional Transformers, section 3"
_COUNTED = "operator counts of BertModel in transformers at 128 tokens, attention products included"
_VOCAB, _POSITIONS, _SEGMENTS = 30_522, 512, 2


def _embed(b: GraphBuilder, batch: int, seq: int, width: int, *, segmented: bool = True) -> Tensor:
    """Sum of word, position and, if ``segmented``, segment embeddings, normalised."""
    with b.scope("embeddings"):
        x = layers.embedding(b, b.input("ids", (batch, seq), "int64"), _VOCAB, width, name="words")
        if segmented:
            segments = b.input("segments", (batch, seq), "int64")
            x = layers.add(b, x, layers.embedding(b, segments, _SEGMENTS, width, name="segments"))
        places = layers.embedding(b, b.input("positions", (1, seq), "int64"), _POSITIONS, width, name="positions")
        return layers.layer_norm(b, layers.add(b, x, places))


def _encode(b: GraphBuilder, x: Tensor, depth: int, heads: int) -> Tensor:
    """That many layers of attention and a perceptron, each added and then normalised."""
    for place in range(depth):
        with b.scope(f"layer{place}"):
            x = layers.add(b, x, layers.attention(b, x, heads), name="add1")
            x = layers.layer_norm(b, x, name="norm1")
            x = layers.add(b, x, layers.mlp(b, x, 4 * x.shape[-1]), name="add2")
            x = layers.layer_norm(b, x, name="norm2")
    return x


def word_scores(b: GraphBuilder, x: Tensor, width: int, vocab: int) -> Tensor:
    """Scores of the vocabulary (batch, seq, vocab) for every token, by a layer of that width."""
    with b.scope("words"):
        y = layers.activation(b, layers.linear(b, x, width, name="transform"), "gelu")
        return layers.linear(b, layers.layer_norm(b, y), vocab, name="scores")


def _bert(name: str, *, depth: int, width: int, heads: int, batch: int, seq: int, pretraining: bool) -> Graph:
    b = GraphBuilder(name)
    x = _encode(b, _embed(b, batch, seq, width), depth, heads)
    first = b.add(Reshape((batch, width)), b.add(Slice(1, 0, 1), x))
    pooled = layers.activation(b, layers.linear(b, first, width, name="pooler"), "tanh")
    if pretraining:
        with b.scope("masked_words"):
            y = layers.activation(b, layers.linear(b, x, width, name="transform"), "gelu")
            x = layers.linear(b, layers.layer_norm(b, y), _VOCAB, name="words")
        pooled = layers.linear(b, pooled, 2, name="next_sentence")
    return b.build([x, pooled], items=batch, item="sequence", info={"tokens": batch * seq})


@workload(
    title="BERT-base",
    source=_SOURCE,
    item="sequence",
    maximum={"seq": _POSITIONS},
    published=Published(parameters=109_482_240, macs=11.174e9, source=_COUNTED),
)
def bert_base(*, batch: int = 1, seq: int = 128, pretraining: bool = False) -> Graph:
    """Text encoder of 12 layers, with pooler.

    Args:
        batch: Sequences at once.
        seq: Tokens of a sequence, at most 512.
        pretraining: Whether it guesses masked words and the next sentence (section 3.1).
    """
    return _bert("bert_base", depth=12, width=768, heads=12, batch=batch, seq=seq, pretraining=pretraining)


@workload(
    title="BERT-large",
    source=_SOURCE,
    item="sequence",
    maximum={"seq": _POSITIONS},
    published=Published(parameters=335_141_888, source="BertModel in transformers"),
)
def bert_large(*, batch: int = 1, seq: int = 128, pretraining: bool = False) -> Graph:
    """Text encoder of 24 layers, with pooler.

    Args:
        batch: Sequences at once.
        seq: Tokens of a sequence, at most 512.
        pretraining: Whether it guesses masked words and the next sentence (section 3.1).
    """
    return _bert("bert_large", depth=24, width=1024, heads=16, batch=batch, seq=seq, pretraining=pretraining)


@workload(
    title="DistilBERT",
    source="Sanh et al. 2019, DistilBERT, a distilled version of BERT, section 3",
    item="sequence",
    maximum={"seq": _POSITIONS},
    published=Published(parameters=66_362_880, source="DistilBertModel in transformers"),
)
def distilbert(*, batch: int = 1, seq: int = 128, head: Literal["none", "words"] = "none") -> Graph:
    """BERT-base of every other layer, without segments and pooler.

    Args:
        batch: Sequences at once.
        seq: Tokens of a sequence, at most 512.
        head: none, or words (scores of the vocabulary for every token).
    """
    b = GraphBuilder("distilbert")
    x = _encode(b, _embed(b, batch, seq, 768, segmented=False), 6, 12)
    x = word_scores(b, x, 768, _VOCAB) if head == "words" else x
    return b.build([x], items=batch, item="sequence", info={"tokens": batch * seq})
