"""Latent attention: keys and values of all heads grow from one short vector a token, which alone is cached.

DeepSeek-AI, "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model", 2024, section 2.1.
Two forms give equal values: prompts expand the cached vectors to keys and values of every head (section 2.1.2); a
single query is carried into the latent space instead, so that all heads read the cache as it is (its "absorbed"
matrices). In that form the cached vector is key and value at once; Work counts it once for either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import Tensor
from hwsim.operators.append import Append
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.slice import Slice
from hwsim.operators.split_view import SplitView
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers

__all__ = ["Latent", "latent_attention", "latent_weights"]

_Weights = Mapping[str, tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """Sizes: the ``query`` and ``cached`` latent vectors, and of each head the plain and turned part of a key, a value.

    The turned part, on which positions act, is one for the keys of all heads.
    """

    query: int
    cached: int
    plain: int
    turned: int
    value: int

    @property
    def kept(self) -> int:
        """Elements a token leaves in the cache of a layer."""
        return self.cached + self.turned

    @property
    def key(self) -> int:
        """Features of a head's query and key."""
        return self.plain + self.turned


def latent_weights(b: GraphBuilder, sizes: Latent, *, width: int, heads: int) -> dict[str, tuple[Tensor, ...]]:
    """Weights from the token to both latent vectors and the turned key, and from those to the heads."""
    found: dict[str, tuple[Tensor, ...]] = {"down": (b.weight("latent_down", (sizes.query + sizes.kept, width)),)}
    for name, features in (("query", sizes.query), ("cached", sizes.cached)):
        found[f"{name}_norm"] = layers.norm_weights(b, features, shift=False, name=f"{name}_norm")
    found["query_up"] = (b.weight("query_up", (heads * sizes.key, sizes.query)),)
    found["key_up"] = (b.weight("key_up", (heads * sizes.plain, sizes.cached)),)
    found["value_up"] = (b.weight("value_up", (heads * sizes.value, sizes.cached)),)
    return {f"latent_{name}": operands for name, operands in found.items()}


def latent_attention(
    b: GraphBuilder,
    sizes: Latent,
    weights: _Weights,
    x: Tensor,
    *,
    heads: int,
    rope: Operator,
    positions: Tensor | None,
    cache: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """(batch, seq, heads value) and the cached vectors (batch, 1, seq in all, kept)."""
    batch, seq, _ = x.shape
    turns = () if positions is None else (positions,)
    low = b.add(Linear(), x, *weights["latent_down"], name="latent_down")
    query, cached, turned = b.add_all(SplitView(-1, (sizes.query, sizes.cached, sizes.turned)), low, name="latents")
    query = b.add(RmsNorm(), query, *weights["latent_query_norm"], name="query_norm")
    cached = b.add(RmsNorm(), cached, *weights["latent_cached_norm"], name="cached_norm")
    q = layers.split_heads(b, b.add(Linear(), query, *weights["latent_query_up"], name="query_up"), heads, name="q")
    plain, q_turned = b.add_all(SplitView(-1, (sizes.plain, sizes.turned)), q, name="q_parts")
    q_turned = b.add(rope, q_turned, *turns, name="q_rope")
    key = b.add(rope, b.add(Reshape((batch, 1, seq, sizes.turned)), turned, name="k_view"), *turns, name="k_rope")
    kept = b.add(Concat(-1), b.add(Reshape((batch, 1, seq, sizes.cached)), cached, name="c_view"), key, name="kept")
    if cache is not None:
        kept = b.add(Append(2), cache, kept, name="cache")
    if cache is not None and seq == 1:
        return _absorbed(b, sizes, weights, plain, q_turned, kept), kept
    return _expanded(b, sizes, weights, plain, q_turned, kept), kept


def _absorbed(b: GraphBuilder, sizes: Latent, weights: _Weights, plain: Tensor, turned: Tensor, kept: Tensor) -> Tensor:
    """One query of each sequence, carried into the latent space; all heads read the cache."""
    batch, heads = plain.shape[:2]
    (key_up,), (value_up,) = weights["latent_key_up"], weights["latent_value_up"]
    up = b.add(Reshape((heads, sizes.plain, sizes.cached)), key_up, name="key_up_view")
    by_head = b.add(
        Transpose((1, 0, 2)), b.add(Reshape((batch, heads, sizes.plain)), plain, name="q_view"), name="q_by"
    )
    q = b.add(Transpose((1, 0, 2)), b.add(Matmul(), by_head, up, name="absorbed"), name="q_back")
    q = b.add(Reshape((batch, heads, 1, sizes.cached)), q, name="q_latent")
    q = b.add(Concat(-1), q, turned, name="q_whole")
    q = b.add(Mul(math.sqrt(sizes.kept / sizes.key)), q, name="q_scaled")  # scores are divided by sqrt(kept), not key
    q = b.add(Reshape((batch, 1, heads, sizes.kept)), q, name="heads_as_queries")  # one tile of rows, as in FlashMLA
    y = b.add(Slice(-1, 0, sizes.cached), b.add(Attention(), q, kept, kept, name="attention"), name="y_latent")
    up = b.add(Reshape((heads, sizes.value, sizes.cached)), value_up, name="value_up_view")
    y = b.add(Transpose((1, 0, 2)), b.add(Reshape((batch, heads, sizes.cached)), y, name="y_view"), name="y_by")
    y = b.add(Transpose((1, 0, 2)), b.add(Matmul(transpose_b=True), y, up, name="values"), name="y_back")
    return b.add(Reshape((batch, 1, heads * sizes.value)), y, name="y_joined")


def _expanded(b: GraphBuilder, sizes: Latent, weights: _Weights, plain: Tensor, turned: Tensor, kept: Tensor) -> Tensor:
    """Keys and values of every head from the cached vectors; values are padded to the width of keys."""
    batch, heads = plain.shape[:2]
    cached, key = b.add_all(SplitView(-1, (sizes.cached, sizes.turned)), kept, name="kept_parts")
    total = kept.shape[2]
    cached = b.add(Reshape((batch, total, sizes.cached)), cached, name="cached_view")
    k = layers.split_heads(b, b.add(Linear(), cached, *weights["latent_key_up"], name="key_up"), heads, name="k")
    k = b.add(Concat(-1), k, b.add(Expand((batch, heads, total, sizes.turned)), key, name="k_all"), name="k_whole")
    v = layers.split_heads(b, b.add(Linear(), cached, *weights["latent_value_up"], name="value_up"), heads, name="v")
    v = b.add(Pad(((0, 0), (0, 0), (0, 0), (0, sizes.key - sizes.value))), v, name="v_padded")
    q = b.add(Concat(-1), plain, turned, name="q_whole")
    y = b.add(Slice(-1, 0, sizes.value), b.add(Attention(causal=True), q, k, v, name="attention"), name="y")
    return layers.merge_heads(b, y)
