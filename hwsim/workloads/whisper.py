"""Whisper speech recognition (Radford et al. 2022, Robust Speech Recognition via Weak Supervision, section 2.2).

The encoder reads 30 s of sound at once; the decoder makes text token by token, attending to its own cache and to keys
and values that are computed from the encoder's result once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.embedding import Embedding
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["whisper_tiny"]

_DEPTH, _WIDTH, _HEADS, _VOCAB = 4, 384, 6, 51_865
_MELS, _FRAMES, _SOUNDS, _POSITIONS = 80, 3000, 1500, 448
_SECONDS = 30.0
_Pair = tuple[Tensor, Tensor]


def _encoder(b: GraphBuilder, mel: Tensor) -> Tensor:
    """(batch, 1500, width) from log-mel frames (batch, 80, 3000)."""
    x = mel
    for name, stride in (("conv1", 1), ("conv2", 2)):
        with b.scope(name):
            operands = (b.weight("weight", (_WIDTH, x.shape[1], 3)), b.weight("bias", (_WIDTH,)))
        x = layers.activation(b, b.add(Conv1d(stride=stride, padding=1), x, *operands, name=name), "gelu")
    x = layers.add(b, b.add(Transpose((0, 2, 1)), x), b.weight("positions", (_SOUNDS, _WIDTH)))
    for place in range(_DEPTH):
        with b.scope(f"layers.{place}"):
            y = layers.layer_norm(b, x, name="norm1")
            x = layers.add(b, x, layers.attention(b, y, _HEADS, key_bias=False), name="add1")
            y = layers.layer_norm(b, x, name="norm2")
            x = layers.add(b, x, layers.mlp(b, y, 4 * _WIDTH), name="add2")
    return layers.layer_norm(b, x)


class _Decoder:
    """The text decoder's weights, declared once and used by several phases."""

    def __init__(self, b: GraphBuilder) -> None:
        self.b = b
        with b.scope("decoder"):
            self.embedding = b.weight("embedding.weight", (_VOCAB, _WIDTH))
            self.positions = b.weight("positions.weight", (_POSITIONS, _WIDTH))
            self.blocks = [self._block(f"layers.{place}") for place in range(_DEPTH)]
            self.norm = layers.norm_weights(b, _WIDTH, name="norm")

    def _block(self, name: str) -> Mapping[str, tuple[Tensor, ...]]:
        found: dict[str, tuple[Tensor, ...]] = {}
        with self.b.scope(name):
            for part in ("self", "cross"):
                found[f"{part}_norm"] = layers.norm_weights(self.b, _WIDTH, name=f"{part}_norm")
                for key in ("q", "k", "v", "out"):
                    label = f"{part}_{key}"
                    found[label] = layers.linear_weights(self.b, _WIDTH, _WIDTH, bias=key != "k", name=label)
            found["mlp_norm"] = layers.norm_weights(self.b, _WIDTH, name="mlp_norm")
            found["up"] = layers.linear_weights(self.b, 4 * _WIDTH, _WIDTH, name="up")
            found["down"] = layers.linear_weights(self.b, _WIDTH, 4 * _WIDTH, name="down")
        return found

    def _linear(self, x: Tensor, weights: Mapping[str, tuple[Tensor, ...]], key: str) -> Tensor:
        return self.b.add(Linear(), x, *weights[key], name=key)

    def _heads(self, x: Tensor, weights: Mapping[str, tuple[Tensor, ...]], key: str) -> Tensor:
        return layers.split_heads(self.b, self._linear(x, weights, key), _HEADS, name=f"{key}_heads")

    def cross(self, sound: Tensor) -> list[_Pair]:
        """Keys and values (batch, heads, 1500, dim) of the encoder's result, for each layer."""
        found = []
        for place, weights in enumerate(self.blocks):
            with self.b.scope(f"layers.{place}"):
                found.append((self._heads(sound, weights, "cross_k"), self._heads(sound, weights, "cross_v")))
        return found

    def run(self, ids: Tensor, positions: Tensor, cross: list[_Pair], caches: list[_Pair]) -> Tensor:
        """Logits (batch, 1, vocab) of the last of these tokens."""
        b = self.b
        x = b.add(Embedding(), ids, self.embedding, name="embedding")
        x = layers.add(b, x, b.add(Embedding(), positions, self.positions, name="positions"))
        for place, weights in enumerate(self.blocks):
            with b.scope(f"layers.{place}"):
                x = self._layer(x, weights, cross[place], caches[place] if caches else None)
        x = b.add(LayerNorm(), x, *self.norm, name="norm")
        if x.shape[1] > 1:
            x = b.add(Slice(1, x.shape[1] - 1, x.shape[1]), x, name="last")
        return b.add(Linear(), x, self.embedding, name="head")

    def _layer(self, x: Tensor, weights: Mapping[str, tuple[Tensor, ...]], cross: _Pair, cache: _Pair | None) -> Tensor:
        b = self.b
        y = b.add(LayerNorm(), x, *weights["self_norm"], name="self_norm")
        q, k, v = (self._heads(y, weights, f"self_{key}") for key in ("q", "k", "v"))
        if cache is not None:
            k, v = b.add(Append(2), cache[0], k, name="k_cache"), b.add(Append(2), cache[1], v, name="v_cache")
        y = layers.merge_heads(b, b.add(Attention(causal=cache is None), q, k, v, name="self_attention"), "self_merge")
        x = layers.add(b, x, self._linear(y, weights, "self_out"), name="add1")
        y = b.add(LayerNorm(), x, *weights["cross_norm"], name="cross_norm")
        q = self._heads(y, weights, "cross_q")
        y = layers.merge_heads(b, b.add(Attention(), q, *cross, name="cross_attention"), "cross_merge")
        x = layers.add(b, x, self._linear(y, weights, "cross_out"), name="add2")
        y = self._linear(b.add(LayerNorm(), x, *weights["mlp_norm"], name="mlp_norm"), weights, "up")
        return layers.add(b, x, self._linear(layers.activation(b, y, "gelu"), weights, "down"), name="add3")


def _states(b: GraphBuilder, name: str, batch: int, seq: int, step: int = 0) -> list[_Pair]:
    """Keys and values kept from before, (batch, heads, seq, dim) for each layer."""
    size, steps = (batch, _HEADS, seq, _WIDTH // _HEADS), (0, 0, step, 0)
    with b.scope(name):
        return [
            (b.state(f"layers.{i}.k", size, step=steps), b.state(f"layers.{i}.v", size, step=steps))
            for i in range(_DEPTH)
        ]


def _decode(b: GraphBuilder, decoder: _Decoder, cross: list[_Pair], batch: int, cached: int, tokens: int) -> Tensor:
    """Logits of one step, repeated ``tokens`` times; the cache grows by one at each."""
    b.phase("decode", repeat=tokens)
    caches = _states(b, "cache", batch, cached, step=1 if tokens > 1 else 0)
    with b.scope("decode"):
        ids, places = b.input("ids", (batch, 1), "int64"), b.input("places", (1, 1), "int64")
        return decoder.run(ids, places, cross, caches)


@workload(
    title="Whisper tiny",
    source="Radford et al. 2022, Robust Speech Recognition via Large-Scale Weak Supervision, Table 1",
    item="clip",
    maximum={"prompt": _POSITIONS, "context": _POSITIONS - 1, "tokens": _POSITIONS},
    published=Published(parameters=37_760_640, source="transformers checkpoint, fixed encoder positions included"),
)
def whisper_tiny(
    *,
    batch: int = 1,
    phase: Literal["transcribe", "encode", "decode"] = "transcribe",
    prompt: int = 4,
    context: int = 4,
    tokens: int = 64,
) -> Graph:
    """Speech recognition of 30 s clips.

    Args:
        batch: Clips at once.
        phase: encode (the sound), decode (one token), or transcribe (encode, then token by token).
        prompt: Control tokens the decoder starts with in transcribe.
        context: Tokens already cached in decode.
        tokens: Tokens made in transcribe, one decode step each.
    """
    if phase == "transcribe" and prompt + tokens > _POSITIONS:
        raise InputError(f"whisper_tiny: 'prompt' + 'tokens' must be at most {_POSITIONS}, not {prompt + tokens}")
    b = GraphBuilder("whisper_tiny")
    decoder = _Decoder(b)
    info = {"sound_s": _SECONDS * batch}
    if phase == "decode":
        cross = _states(b, "cross_cache", batch, _SOUNDS)
        outputs = [_decode(b, decoder, cross, batch, context, 1)]
        return b.build(outputs, items=batch, item="token", info={"generated_tokens": 1})
    b.phase("encode")
    with b.scope("encoder"):
        cross = decoder.cross(_encoder(b, b.input("mel", (batch, _MELS, _FRAMES))))
    if phase == "encode":
        return b.build([tensor for pair in cross for tensor in pair], items=batch, item="clip", info=info)
    b.phase("prompt")
    with b.scope("prompt"):
        ids, places = b.input("prompt_ids", (batch, prompt), "int64"), b.input("prompt_places", (1, prompt), "int64")
        first = decoder.run(ids, places, cross, [])
    outputs = [first, _decode(b, decoder, cross, batch, prompt, tokens)]
    return b.build(outputs, items=batch, item="clip", info=info | {"generated_tokens": tokens})
