"""Layers that diffusion transformers share: patches, conditioning vectors, modulation, residual gates.

The design is DiT's (Peebles and Xie 2023, Scalable Diffusion Models with Transformers, Fig. 3): layer norms without
weights whose scale and shift come from the time step. Operators are those that an eager framework runs.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads.layers import activation, conv, conv3d, linear, merge_heads, split_heads

__all__ = [
    "TIME_FEATURES",
    "embedded_vector",
    "final_layer",
    "gated_residual",
    "heads_attention",
    "modulated_norm",
    "modulation",
    "patches",
    "plain_norm",
    "table_modulation",
    "unpatched",
    "unpatched_video",
    "video_patches",
]

TIME_FEATURES = 256
"""Sinusoids of the time step that enter its embedding, in every model here but CogVideoX."""


def patches(b: GraphBuilder, x: Tensor, width: int, patch: int, name: str = "patch_embed") -> Tensor:
    """Tokens (batch, height width / patch^2, width) from latents (batch, channels, height, width)."""
    y = conv(b, x, width, patch, stride=patch, padding=0, name=name)
    return _tokens(b, y, name)


def video_patches(
    b: GraphBuilder, x: Tensor, width: int, patch: tuple[int, int, int], name: str = "patch_embed"
) -> Tensor:
    """Tokens (batch, tokens, width) from latents (batch, channels, frames, height, width)."""
    y = conv3d(b, x, width, patch, stride=patch, padding=(0, 0, 0), name=name)
    return _tokens(b, y, name)


def _tokens(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    flat = b.add(Reshape((x.shape[0], x.shape[1], -1)), x, name=f"{name}_flat")
    return b.add(Transpose((0, 2, 1)), flat, name=f"{name}_tokens")


def unpatched(b: GraphBuilder, x: Tensor, channels: int, height: int, width: int, patch: int) -> Tensor:
    """Latents (batch, channels, height, width) from tokens (batch, tokens, patch^2 channels)."""
    batch, rows, cols = x.shape[0], height // patch, width // patch
    y = b.add(Reshape((batch, rows, cols, patch, patch, channels)), x, name="grid")
    y = b.add(Transpose((0, 5, 1, 3, 2, 4)), y, name="unpatch")
    return b.add(Reshape((batch, channels, height, width)), y, name="latent_view")


def unpatched_video(b: GraphBuilder, x: Tensor, size: tuple[int, int, int, int], patch: tuple[int, int, int]) -> Tensor:
    """Latents (batch, channels, frames, height, width) from tokens; ``size`` is all but the batch."""
    (channels, frames, height, width), (pt, ph, pw) = size, patch
    grid = (x.shape[0], frames // pt, height // ph, width // pw, pt, ph, pw, channels)
    y = b.add(Reshape(grid), x, name="grid")
    y = b.add(Transpose((0, 7, 1, 4, 2, 5, 3, 6)), y, name="unpatch")
    return b.add(Reshape((x.shape[0], *size)), y, name="latent_view")


def embedded_vector(
    b: GraphBuilder,
    x: Tensor,
    width: int,
    *,
    hidden: int | None = None,
    act: str = "silu",
    name: str = "time_embed",
) -> Tensor:
    """Conditioning (..., width) through two linear layers: time step, pooled text, guidance, encoded text.

    ``hidden`` is the width between the two, unless given that of the result.
    """
    with b.scope(name):
        y = activation(b, linear(b, x, hidden or width, name="linear_1"), act)
        return linear(b, y, width, name="linear_2")


def modulation(b: GraphBuilder, vector: Tensor, width: int, parts: int, name: str = "modulation") -> tuple[Tensor, ...]:
    """``parts`` vectors (batch, 1, width) from a conditioning vector (batch, k): SiLU and one linear layer (adaLN)."""
    with b.scope(name):
        y = linear(b, activation(b, vector, "silu"), parts * width)
        y = b.add(Reshape((vector.shape[0], parts, width)), y, name="parts")
        return b.add_all(Split(1, (1,) * parts), y, name="chunk")


def table_modulation(
    b: GraphBuilder, vectors: Tensor, parts: int, name: str = "scale_shift_table"
) -> tuple[Tensor, ...]:
    """``parts`` vectors (batch, 1, width): a learned table plus vectors all layers share (PixArt's adaLN-single).

    ``vectors`` is (batch, parts, width), or (batch, 1, width) for all parts alike.
    """
    table = b.weight(name, (1, parts, vectors.shape[-1]))
    return b.add_all(Split(1, (1,) * parts), b.add(Add(), table, vectors, name="modulation"), name="chunk")


def plain_norm(b: GraphBuilder, x: Tensor, name: str = "norm", *, wide: bool = False) -> Tensor:
    """Layer normalisation over the last axis without weights; ``wide``: in fp32."""
    return b.add(LayerNorm(wide=wide), x, name=name)


def modulated_norm(
    b: GraphBuilder, x: Tensor, scale: Tensor, shift: Tensor, name: str = "norm", *, wide: bool = False
) -> Tensor:
    """norm(x) (1 + scale) + shift."""
    return b.add(ScaleShift(), plain_norm(b, x, name, wide=wide), scale, shift, name=f"{name}_modulated")


def gated_residual(b: GraphBuilder, x: Tensor, y: Tensor, gate: Tensor, name: str = "residual") -> Tensor:
    """X + gate y."""
    return b.add(Add(), x, b.add(Mul(), y, gate, name=f"{name}_gated"), name=name)


def heads_attention(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, heads: int, rope: Rope | None = None) -> Tensor:
    """Attention (batch, seq, features) of projections (batch, seq, features), rotary positions on q and k."""
    q, k = split_heads(b, q, heads, name="q_heads"), split_heads(b, k, heads, name="k_heads")
    v = split_heads(b, v, heads, name="v_heads")
    if rope is not None:
        q, k = b.add(rope, q, name="q_rope"), b.add(rope, k, name="k_rope")
    return merge_heads(b, b.add(Attention(), q, k, v, name="attention"))


def final_layer(
    b: GraphBuilder, x: Tensor, scale: Tensor, shift: Tensor, features: int, *, wide: bool = False
) -> Tensor:
    """Modulated norm and projection to the features of a patch."""
    return linear(b, modulated_norm(b, x, scale, shift, name="norm_out", wide=wide), features, name="proj_out")
