"""Joint attention of text and image tokens, each with weights of its own: MMDiT (Esser et al. 2024, Fig. 2).

Stable Diffusion 3 consists of such double blocks; Flux and HunyuanVideo follow them with single blocks, in which all
tokens share weights and attention runs beside the feed-forward (Dehghani et al. 2023, Scaling Vision Transformers).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.gelu import Gelu
from hwsim.operators.rope import Rope
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.workloads.dit import gated_residual, modulated_norm, modulation, plain_norm
from hwsim.workloads.layers import linear, merge_heads, mlp, rms_norm, split_heads

__all__ = ["Joint", "double_block", "rope_on_image", "single_block"]

Heads = tuple[Tensor, Tensor, Tensor]
"""q, k and v, each (batch, heads, seq, dim)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """What all blocks of a model share.

    ``text_first`` is the order of tokens in joint attention; ``rope`` turns q and k of all tokens; ``image_rope``
    those of the image tokens only.
    """

    heads: int
    text_first: bool = False
    rope: Rope | None = None
    image_rope: Rope | None = None


def double_block(
    b: GraphBuilder,
    image: Tensor,
    text: Tensor,
    vector: Tensor,
    joint: Joint,
    *,
    last: bool = False,
    second_attention: bool = False,
) -> tuple[Tensor, Tensor]:
    """(image, text) after one block, each (batch, tokens, width); ``vector`` (batch, width) modulates both.

    ``last``: the text leaves here, so only its keys and values are needed after this. ``second_attention``: the image
    attends to itself once more beside the joint attention (Stable Diffusion 3.5 medium, "MMDiT-X").
    """
    width = image.shape[-1]
    shift, scale, gate, shift2, scale2, gate2, *more = modulation(
        b, vector, width, 9 if second_attention else 6, "image_modulation"
    )
    normed = plain_norm(b, image, "image_norm1")
    x = b.add(ScaleShift(), normed, scale, shift, name="image_norm1_modulated")
    if last:
        text_scale, text_shift = modulation(b, vector, width, 2, "text_modulation")
        text_parts: tuple[Tensor, ...] = ()
    else:
        text_shift, text_scale, *rest = modulation(b, vector, width, 6, "text_modulation")
        text_parts = tuple(rest)
    y = modulated_norm(b, text, text_scale, text_shift, "text_norm1")
    x_out, y_out = _joint_attention(b, x, y, joint, text_out=not last)
    attended = gated_residual(b, image, x_out, gate, "image_attended")
    if second_attention:
        z = b.add(ScaleShift(), normed, more[1], more[0], name="image_norm1_again")
        attended = gated_residual(b, attended, _self_attention(b, z, joint.heads), more[2], "image_self_attended")
    image = _feed_forward(b, attended, (shift2, scale2, gate2), "image")
    if last:
        return image, text
    text_gate, *text_rest = text_parts
    text = gated_residual(b, text, y_out, text_gate, "text_attended")
    return image, _feed_forward(b, text, (text_rest[0], text_rest[1], text_rest[2]), "text")


def _feed_forward(b: GraphBuilder, x: Tensor, parts: tuple[Tensor, Tensor, Tensor], side: str) -> Tensor:
    shift, scale, gate = parts
    y = modulated_norm(b, x, scale, shift, f"{side}_norm2")
    y = mlp(b, y, 4 * x.shape[-1], act="gelu_tanh", name=f"{side}_mlp")
    return gated_residual(b, x, y, gate, f"{side}_out")


def _projected(b: GraphBuilder, x: Tensor, heads: int, side: str) -> Heads:
    """q, k, v of one side, q and k normalised per head."""
    width = x.shape[-1]
    with b.scope(side):
        q, k, v = (
            split_heads(b, linear(b, x, width, name=part), heads, name=f"{part}_heads") for part in ("q", "k", "v")
        )
        return rms_norm(b, q, "q_norm"), rms_norm(b, k, "k_norm"), v


def _joint_attention(
    b: GraphBuilder, image: Tensor, text: Tensor, joint: Joint, *, text_out: bool
) -> tuple[Tensor, Tensor]:
    """Projected results of both sides; the text's is not projected unless ``text_out``."""
    with b.scope("attention"):
        q, k, v = _projected(b, image, joint.heads, "image")
        if joint.image_rope is not None:
            q, k = b.add(joint.image_rope, q, name="q_rope"), b.add(joint.image_rope, k, name="k_rope")
        sides = ((q, k, v), _projected(b, text, joint.heads, "text"))
        first, second = reversed(sides) if joint.text_first else sides
        q, k, v = (b.add(Concat(2), p, t, name=f"{n}_joint") for n, p, t in zip("qkv", first, second, strict=True))
        if joint.rope is not None:
            q, k = b.add(joint.rope, q, name="q_rope"), b.add(joint.rope, k, name="k_rope")
        y = merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
        sizes = (first[0].shape[2], second[0].shape[2])
        parts = b.add_all(Split(1, sizes), y, name="sides")
        x, t = reversed(parts) if joint.text_first else parts
        x = linear(b, x, image.shape[-1], name="image_out")
        return x, (linear(b, t, text.shape[-1], name="text_out") if text_out else t)


def _self_attention(b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
    with b.scope("self_attention"):
        q, k, v = _projected(b, x, heads, "image")
        y = merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
        return linear(b, y, x.shape[-1], name="out")


def rope_on_image(b: GraphBuilder, x: Tensor, tokens: int, rope: Rope, name: str) -> Tensor:
    """X (batch, heads, seq, dim) with its first ``tokens`` turned, as frameworks do it: cut, turn, join."""
    turned = b.add(rope, b.add(Slice(2, 0, tokens), x, name=f"{name}_image"), name=f"{name}_rope")
    rest = b.add(Slice(2, tokens, x.shape[2]), x, name=f"{name}_text")
    return b.add(Concat(2), turned, rest, name=f"{name}_joint")


def single_block(
    b: GraphBuilder,
    x: Tensor,
    vector: Tensor,
    heads: int,
    turn: Callable[[Tensor, str], Tensor],
) -> Tensor:
    """Tokens (batch, seq, width) after attention and feed-forward side by side; ``turn`` applies rotary positions."""
    width = x.shape[-1]
    shift, scale, gate = modulation(b, vector, width, 3)
    y = modulated_norm(b, x, scale, shift)
    hidden = b.add(Gelu(approximate=True), linear(b, y, 4 * width, name="mlp"), name="mlp_gelu")
    q, k, v = (linear(b, y, width, name=part) for part in ("q", "k", "v"))
    q, k, v = (split_heads(b, part, heads, name=f"{n}_heads") for n, part in zip("qkv", (q, k, v), strict=True))
    q, k = turn(rms_norm(b, q, "q_norm"), "q"), turn(rms_norm(b, k, "k_norm"), "k")
    attended = merge_heads(b, b.add(Attention(), q, k, v, name="attention"))
    joined = b.add(Concat(2), attended, hidden, name="attended_and_hidden")
    return gated_residual(b, x, linear(b, joined, width, name="out"), gate)
