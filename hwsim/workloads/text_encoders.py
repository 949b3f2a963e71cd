"""Text encoders of diffusion pipelines: CLIP, T5, BERT, Gemma, Llama.

Each function takes token ids (batch, seq) and returns features (batch, seq, width); configurations carry the
published dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.embedding import Embedding
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.workloads.layers import (
    add,
    attention,
    embedding,
    gated_mlp,
    layer_norm,
    linear,
    merge_heads,
    mlp,
    rms_norm,
    split_heads,
)

__all__ = [
    "BERT_1024",
    "CLIP_G",
    "CLIP_H",
    "CLIP_L",
    "CLIP_TOKENS",
    "GEMMA_2_2B",
    "LLAMA_3_8B",
    "MT5_XL",
    "T5",
    "T5_XXL",
    "UMT5_XXL",
    "Bert",
    "Clip",
    "LanguageModel",
    "bert_encoder",
    "clip_encoder",
    "clip_pooled",
    "language_encoder",
    "t5_encoder",
    "token_ids",
]

CLIP_TOKENS = 77
"""Positions of CLIP's text transformer (Radford et al. 2021, section 2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A causal transformer with learned positions; ``act`` of its feed-forward."""

    width: int
    layers: int
    heads: int
    act: str
    vocabulary: int = 49408


@dataclass(frozen=True, slots=True, kw_only=True)
class T5:
    """An encoder with gated GELU and relative positions, learned once or (umT5) in every layer."""

    width: int
    heads: int
    hidden: int
    vocabulary: int
    layers: int = 24
    head_dim: int = 64
    buckets: int = 32
    bias_every_layer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bert:
    """A bidirectional encoder with normalisation after each residual."""

    width: int
    layers: int
    heads: int
    vocabulary: int
    positions: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """A language model used for its last hidden state: no head. ``sandwiched``: norms before and after (Gemma 2)."""

    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    vocabulary: int
    act: str
    sandwiched: bool = False


# Sources: config.json of openai/clip-vit-large-patch14, laion/CLIP-ViT-bigG-14-laion2B-39B-b160k,
# google/t5-v1_1-xxl, google/umt5-xxl, google/mt5-xl, Tencent-Hunyuan/HunyuanDiT-v1.2-Diffusers (text_encoder),
# google/gemma-2-2b-it and meta-llama/Meta-Llama-3-8B.
CLIP_L = Clip(width=768, layers=12, heads=12, act="quick_gelu")
CLIP_H = Clip(width=1024, layers=23, heads=16, act="gelu")
"""OpenCLIP ViT-H/14 up to its last layer but one, as Stable Diffusion 2 reads it."""
CLIP_G = Clip(width=1280, layers=32, heads=20, act="gelu")
T5_XXL = T5(width=4096, heads=64, hidden=10240, vocabulary=32128)
UMT5_XXL = T5(width=4096, heads=64, hidden=10240, vocabulary=256384, bias_every_layer=True)
MT5_XL = T5(width=2048, heads=32, hidden=5120, vocabulary=250112)
BERT_1024 = Bert(width=1024, layers=24, heads=16, vocabulary=47020)
GEMMA_2_2B = LanguageModel(
    width=2304,
    layers=26,
    heads=8,
    kv_heads=4,
    head_dim=256,
    hidden=9216,
    vocabulary=256000,
    act="gelu_tanh",
    sandwiched=True,
)
LLAMA_3_8B = LanguageModel(
    width=4096, layers=32, heads=32, kv_heads=8, head_dim=128, hidden=14336, vocabulary=128256, act="silu"
)


def token_ids(b: GraphBuilder, batch: int, tokens: int, name: str) -> Tensor:
    """An input of token ids (batch, tokens)."""
    return b.input(f"{name}_ids", (batch, tokens), "int64")


def clip_encoder(b: GraphBuilder, ids: Tensor, config: Clip, name: str = "clip") -> Tensor:
    """Last hidden state (batch, 77, width) of CLIP's text transformer (Radford et al. 2021)."""
    with b.scope(name):
        x = embedding(b, ids, config.vocabulary, config.width, name="tokens")
        x = add(b, x, b.weight("positions", (1, ids.shape[1], config.width)), name="positioned")
        for index in range(config.layers):
            with b.scope(f"layer{index}"):
                y = attention(b, layer_norm(b, x, "norm1"), config.heads, causal=True)
                x = add(b, x, y)
                x = add(b, x, mlp(b, layer_norm(b, x, "norm2"), 4 * config.width, act=config.act))
        return layer_norm(b, x, "norm_final")


def clip_pooled(b: GraphBuilder, x: Tensor, *, projected: bool, name: str = "clip") -> Tensor:
    """The end token's features (batch, width), through the text projection if there is one."""
    with b.scope(name):
        last = b.add(Slice(1, x.shape[1] - 1, x.shape[1]), x, name="end_token")
        last = b.add(Reshape((x.shape[0], x.shape[2])), last, name="end_token_view")
        return linear(b, last, x.shape[2], bias=False, name="text_projection") if projected else last


def t5_encoder(b: GraphBuilder, ids: Tensor, config: T5, name: str = "t5") -> Tensor:
    """Last hidden state (batch, seq, width) of a T5 v1.1 encoder (Raffel et al. 2020; Shazeer 2020 for the gate).

    Attention is unfused, as in the reference implementation: its scores get a learned bias per head and distance.
    """
    seq = ids.shape[1]
    buckets = b.input(f"{name}_distances", (seq, seq), "int64")
    with b.scope(name):
        x = embedding(b, ids, config.vocabulary, config.width, name="tokens")
        bias = None
        for index in range(config.layers):
            with b.scope(f"layer{index}"):
                if bias is None or config.bias_every_layer:
                    bias = _distance_bias(b, buckets, config)
                x = add(b, x, _t5_attention(b, rms_norm(b, x, "norm1"), bias, config))
                x = add(b, x, gated_mlp(b, rms_norm(b, x, "norm2"), config.hidden, act="gelu_tanh"))
        return rms_norm(b, x, "norm_final")


def _distance_bias(b: GraphBuilder, buckets: Tensor, config: T5) -> Tensor:
    """(1, heads, seq, seq): a learned number per head and bucket of distances."""
    seq = buckets.shape[0]
    with b.scope("distances"):
        table = b.weight("weight", (config.buckets, config.heads))
    y = b.add(Embedding(), buckets, table, name="distances")
    y = b.add(Transpose((2, 0, 1)), y, name="distances_heads")
    return b.add(Reshape((1, config.heads, seq, seq)), y, name="distances_view")


def _t5_attention(b: GraphBuilder, x: Tensor, bias: Tensor, config: T5) -> Tensor:
    inner = config.heads * config.head_dim
    with b.scope("attention"):
        q, k, v = (
            split_heads(b, linear(b, x, inner, bias=False, name=part), config.heads, name=f"{part}_heads")
            for part in ("q", "k", "v")
        )
        scores = b.add(Add(), b.add(Matmul(transpose_b=True), q, k, name="scores"), bias, name="biased")
        y = b.add(Matmul(), b.add(Softmax(-1), scores), v, name="values")
        return linear(b, merge_heads(b, y), config.width, bias=False, name="out")


def bert_encoder(b: GraphBuilder, ids: Tensor, config: Bert, name: str = "bert") -> Tensor:
    """Last hidden state (batch, seq, width) of BERT (Devlin et al. 2019), pooler included in its weights."""
    seq = ids.shape[1]
    with b.scope(name):
        x = embedding(b, ids, config.vocabulary, config.width, name="tokens")
        positions = b.weight("positions", (1, config.positions, config.width))
        x = add(b, x, b.add(Slice(1, 0, seq), positions, name="positions_used"), name="positioned")
        segment = b.add(Slice(0, 0, 1), b.weight("segments", (2, config.width)), name="segment")
        x = layer_norm(b, add(b, x, segment, name="segmented"), "norm_embedding")
        for index in range(config.layers):
            with b.scope(f"layer{index}"):
                x = layer_norm(b, add(b, x, attention(b, x, config.heads)), "norm1")
                x = layer_norm(b, add(b, x, mlp(b, x, 4 * config.width)), "norm2")
        first = b.add(Slice(1, 0, 1), x, name="first_token")
        linear(b, first, config.width, name="pooler")
        return x


def language_encoder(b: GraphBuilder, ids: Tensor, config: LanguageModel, name: str) -> Tensor:
    """Last hidden state (batch, seq, width) of a decoder-only language model, the whole prompt at once."""
    with b.scope(name):
        x = embedding(b, ids, config.vocabulary, config.width, name="tokens")
        if config.sandwiched:
            x = b.add(Mul(config.width**0.5), x, name="scaled")
        for index in range(config.layers):
            with b.scope(f"layer{index}"):
                x = _language_layer(b, x, config)
        return rms_norm(b, x, "norm_final")


def _language_layer(b: GraphBuilder, x: Tensor, config: LanguageModel) -> Tensor:
    y = attention(
        b,
        rms_norm(b, x, "norm1"),
        config.heads,
        kv_heads=config.kv_heads,
        head_dim=config.head_dim,
        causal=True,
        bias=False,
        rope=Rope(),
    )
    if config.sandwiched:
        y = rms_norm(b, y, "norm1_after")
    x = add(b, x, y)
    y = gated_mlp(b, rms_norm(b, x, "norm2"), config.hidden, act=config.act)
    if config.sandwiched:
        y = rms_norm(b, y, "norm2_after")
    return add(b, x, y)
