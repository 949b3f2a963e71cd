"""Whisper speech recognition (Radford et al. 2022, Robust Speech Recognition via Weak Supervision, section 2.2).

The encoder reads 30 s of sound at once; the decoder makes text token by token, attending to its own cache and to keys
and values that are computed from the encoder's result once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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

__all__ = ["Whisper"]

_FRAMES, _SOUNDS, _POSITIONS = 3000, 1500, 448
_SECONDS = 30.0
_Pair = tuple[Tensor, Tensor]
_Weights = Mapping[str, tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True)
class Whisper:
    """Layers of the encoder, their width and heads, and layers of the decoder, as many where it does not say (0)."""

    depth: int
    width: int
    heads: int
    decoding: int = 0
    mels: int = 80
    vocabulary: int = 51_865

    @property
    def decoder_depth(self) -> int:
        """Layers of the decoder."""
        return self.decoding or self.depth


def _encoder(b: GraphBuilder, size: Whisper, mel: Tensor) -> Tensor:
    """(batch, 1500, width) from log-mel frames (batch, mels, 3000)."""
    x = mel
    for name, stride in (("conv1", 1), ("conv2", 2)):
        with b.scope(name):
            operands = (b.weight("weight", (size.width, x.shape[1], 3)), b.weight("bias", (size.width,)))
        x = layers.activation(b, b.add(Conv1d(stride=stride, padding=1), x, *operands, name=name), "gelu")
    x = layers.add(b, b.add(Transpose((0, 2, 1)), x), b.weight("positions", (_SOUNDS, size.width)))
    for place in range(size.depth):
        with b.scope(f"layers.{place}"):
            y = layers.layer_norm(b, x, name="norm1")
            x = layers.add(b, x, layers.attention(b, y, size.heads, key_bias=False), name="add1")
            y = layers.layer_norm(b, x, name="norm2")
            x = layers.add(b, x, layers.mlp(b, y, 4 * size.width), name="add2")
    return layers.layer_norm(b, x)


class _Decoder:
    """The text decoder's weights, declared once and used by several phases."""

    def __init__(self, b: GraphBuilder, size: Whisper) -> None:
        self.b = b
        self.size = size
        with b.scope("decoder"):
            self.embedding = b.weight("embedding.weight", (size.vocabulary, size.width))
            self.positions = b.weight("positions.weight", (_POSITIONS, size.width))
            self.blocks = [self._block(f"layers.{place}") for place in range(size.decoder_depth)]
            self.norm = layers.norm_weights(b, size.width, name="norm")

    def _block(self, name: str) -> _Weights:
        width = self.size.width
        found: dict[str, tuple[Tensor, ...]] = {}
        with self.b.scope(name):
            for part in ("self", "cross"):
                found[f"{part}_norm"] = layers.norm_weights(self.b, width, name=f"{part}_norm")
                for key in ("q", "k", "v", "out"):
                    label = f"{part}_{key}"
                    found[label] = layers.linear_weights(self.b, width, width, bias=key != "k", name=label)
            found["mlp_norm"] = layers.norm_weights(self.b, width, name="mlp_norm")
            found["up"] = layers.linear_weights(self.b, 4 * width, width, name="up")
            found["down"] = layers.linear_weights(self.b, width, 4 * width, name="down")
        return found

    def _linear(self, x: Tensor, weights: _Weights, key: str) -> Tensor:
        return self.b.add(Linear(), x, *weights[key], name=key)

    def _heads(self, x: Tensor, weights: _Weights, key: str) -> Tensor:
        return layers.split_heads(self.b, self._linear(x, weights, key), self.size.heads, name=f"{key}_heads")

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

    def _layer(self, x: Tensor, weights: _Weights, cross: _Pair, cache: _Pair | None) -> Tensor:
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


def _states(b: GraphBuilder, size: Whisper, name: str, batch: int, seq: int, step: int = 0) -> list[_Pair]:
    """Keys and values kept from before, (batch, heads, seq, dim) for each layer."""
    shape, steps = (batch, size.heads, seq, size.width // size.heads), (0, 0, step, 0)
    with b.scope(name):
        return [
            (b.state(f"layers.{i}.k", shape, step=steps), b.state(f"layers.{i}.v", shape, step=steps))
            for i in range(size.decoder_depth)
        ]


def _decode(b: GraphBuilder, decoder: _Decoder, cross: list[_Pair], batch: int, cached: int, tokens: int) -> Tensor:
    """Logits of one step, repeated ``tokens`` times; the cache grows by one at each."""
    b.phase("decode", repeat=tokens)
    caches = _states(b, decoder.size, "cache", batch, cached, step=1 if tokens > 1 else 0)
    with b.scope("decode"):
        ids, places = b.input("ids", (batch, 1), "int64"), b.input("places", (1, 1), "int64")
        return decoder.run(ids, places, cross, caches)


def _graph(name: str, size: Whisper, batch: int, phase: str, prompt: int, context: int, tokens: int) -> Graph:
    if phase == "transcribe" and prompt + tokens > _POSITIONS:
        raise InputError(f"{name}: 'prompt' + 'tokens' must be at most {_POSITIONS}, not {prompt + tokens}")
    b = GraphBuilder(name)
    decoder = _Decoder(b, size)
    info = {"sound_s": _SECONDS * batch}
    if phase == "decode":
        cross = _states(b, size, "cross_cache", batch, _SOUNDS)
        outputs = [_decode(b, decoder, cross, batch, context, 1)]
        return b.build(outputs, items=batch, item="token", info={"generated_tokens": 1})
    b.phase("encode")
    with b.scope("encoder"):
        cross = decoder.cross(_encoder(b, size, b.input("mel", (batch, size.mels, _FRAMES))))
    if phase == "encode":
        return b.build([tensor for pair in cross for tensor in pair], items=batch, item="clip", info=info)
    b.phase("prompt")
    with b.scope("prompt"):
        ids, places = b.input("prompt_ids", (batch, prompt), "int64"), b.input("prompt_places", (1, prompt), "int64")
        first = decoder.run(ids, places, cross, [])
    outputs = [first, _decode(b, decoder, cross, batch, prompt, tokens)]
    return b.build(outputs, items=batch, item="clip", info=info | {"generated_tokens": tokens})


def _named(name: str, size: Whisper) -> Callable[..., Graph]:
    """The function behind a named model."""

    def build(
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
        return _graph(name, size, batch, phase, prompt, context, tokens)

    build.__name__ = name
    return build


for _name, _size, _parameters in (
    ("tiny", Whisper(4, 384, 6), 37_760_640),
    ("base", Whisper(6, 512, 8), 72_593_920),
    ("small", Whisper(12, 768, 12), 241_734_912),
    ("medium", Whisper(24, 1024, 16), 763_857_920),
    ("large_v3", Whisper(32, 1280, 20, mels=128, vocabulary=51_866), 1_543_490_560),
    ("large_v3_turbo", Whisper(32, 1280, 20, decoding=4, mels=128, vocabulary=51_866), 808_878_080),
):
    workload(
        title=f"Whisper {_name.replace('_', ' ')}",
        source="Radford et al. 2022, Robust Speech Recognition via Weak Supervision, Table 1; cards of large-v3, turbo",
        item="clip",
        maximum={"prompt": _POSITIONS, "context": _POSITIONS - 1, "tokens": _POSITIONS},
        published=Published(
            parameters=_parameters, source="checkpoint in transformers, fixed encoder positions included"
        ),
    )(_named(f"whisper_{_name}", _size))
