"""TrOCR, small (Li et al. 2023, TrOCR: Transformer-based Optical Character Recognition, section 3 and Table 1).

A distilled DeiT-S reads lines of 384 x 384 pixels and makes the keys and values that each step of a decoder attends to,
as quic/ai-hub-models, models/trocr (04aee51), exports them; sizes of microsoft/trocr-small-stage1.
"""

from __future__ import annotations

from typing import Literal

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.append import Append
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.workloads import image_layers, layers
from hwsim.workloads.registry import Published, workload

__all__ = ["trocr_small"]

_IMAGE, _PATCH, _SEEN_WIDTH, _SEEN_HEADS, _SEEN_DEPTH = 384, 16, 384, 6, 12
_VOCAB, _POSITIONS, _WIDTH, _HEADS, _DEPTH = 64_044, 514, 256, 8, 6
_SEEN = (_IMAGE // _PATCH) ** 2 + 2
"""Patches, and the tokens of class and distillation."""


def _read(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 578, 384) of an image."""
    x = layers.conv(b, image, _SEEN_WIDTH, _PATCH, stride=_PATCH, padding=0, name="patches")
    x = b.add(Concat(1), b.weight("tokens", (image.shape[0], 2, _SEEN_WIDTH)), image_layers.to_sequence(b, x))
    x = layers.add(b, x, b.weight("positions", (1, _SEEN, _SEEN_WIDTH)), name="add_positions")
    for place in range(_SEEN_DEPTH):
        with b.scope(f"encoder.{place}"):
            x = layers.add(b, x, layers.attention(b, layers.layer_norm(b, x, "norm1"), _SEEN_HEADS), name="add1")
            x = layers.add(b, x, layers.mlp(b, layers.layer_norm(b, x, "norm2"), 4 * _SEEN_WIDTH), name="add2")
    return layers.layer_norm(b, x)


def _heads(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return layers.split_heads(b, layers.linear(b, x, _WIDTH, name=name), _HEADS, name=f"{name}_heads")


def _attended(b: GraphBuilder, x: Tensor, k: Tensor, v: Tensor, name: str) -> Tensor:
    """X and what attention adds to it, normalised."""
    y = b.add(Attention(), _heads(b, x, f"{name}_q"), k, v, name=f"{name}_attention")
    y = layers.linear(b, layers.merge_heads(b, y, name=f"{name}_merge"), _WIDTH, name=f"{name}_out")
    return layers.layer_norm(b, layers.add(b, x, y, name=f"{name}_add"), name=f"{name}_norm")


def _step(b: GraphBuilder, batch: int, context: int) -> list[Tensor]:
    """The next token, and the keys and values of all so far."""
    x = layers.embedding(b, b.input("ids", (batch, 1), "int64"), _VOCAB, _WIDTH, name="words")
    x = layers.multiply(b, x, b.state("scale", (1,)), name="scaled")
    places = layers.embedding(b, b.input("positions", (1, 1), "int64"), _POSITIONS, _WIDTH, name="places")
    x = layers.layer_norm(b, layers.add(b, x, places, name="add_places"), name="embedded")
    kept: list[Tensor] = []
    for place in range(_DEPTH):
        with b.scope(f"decoder.{place}"):
            shape, seen = (batch, _HEADS, context, _WIDTH // _HEADS), (batch, _HEADS, _SEEN, _WIDTH // _HEADS)
            k = b.add(Append(2), b.state("k_cache", shape), _heads(b, x, "self_k"), name="k")
            v = b.add(Append(2), b.state("v_cache", shape), _heads(b, x, "self_v"), name="v")
            x = _attended(b, x, k, v, "self")
            x = _attended(b, x, b.state("seen_k", seen), b.state("seen_v", seen), "cross")
            y = layers.mlp(b, x, 4 * _WIDTH, act="relu")
            x = layers.layer_norm(b, layers.add(b, x, y, name="mlp_add"), name="mlp_norm")
            kept += [k, v]
    scores = layers.linear(b, x, _VOCAB, bias=False, name="scores")
    return [b.add(ArgExtreme("max", -1), scores, name="chosen"), *kept]


@workload(
    title="TrOCR-small",
    source="Li et al. 2023, TrOCR: Transformer-based Optical Character Recognition with Pre-trained Models, section 3",
    item="line",
    published=Published(parameters=23_000_000, tolerance=0.01, source="quic/ai-hub-models, model card: encoder"),
)
def trocr_small(*, batch: int = 1, context: int = 19, phase: Literal["encode", "decode"] = "encode") -> Graph:
    """A line of text read: the encoder, or one step of the decoder.

    Args:
        batch: Lines at once.
        context: Tokens already cached in decode.
        phase: encode (the image, with the keys and values of all decoder layers) or decode (one token).
    """
    b = GraphBuilder("trocr_small")
    if phase == "decode":
        return b.build(_step(b, batch, context), items=batch, item="token", info={"generated_tokens": 1})
    x = _read(b, b.input("image", (batch, 3, _IMAGE, _IMAGE)))
    made: list[Tensor] = []
    for place in range(_DEPTH):
        with b.scope(f"cross.{place}"):
            made += [_heads(b, x, "k"), _heads(b, x, "v")]
    return b.build(made, items=batch, item="line")
