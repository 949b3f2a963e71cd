"""The denoising U-Net of Stable Diffusion (Rombach et al. 2022): ResNet blocks, attention to pixels and to text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.gelu import Gelu
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads.dit import embedded_vector, heads_attention
from hwsim.workloads.layers import activation, add, conv, group_norm, layer_norm, linear
from hwsim.workloads.vae import GROUPS, resnet_block, upsampled

__all__ = ["UNET_1", "UNET_2", "Attending", "unet", "unet_encoder"]

_CHANNELS = (320, 640, 1280, 1280)
_ATTENDING_LEVELS = 3
_RESNETS = 2


@dataclass(frozen=True, slots=True)
class Attending:
    """How the attention of a U-Net is cut: into ``heads`` of any width, or into heads of ``width``.

    ``linear`` layers lead into a transformer block and out of it, where others have 1x1 convolutions.
    """

    heads: int = 0
    width: int = 0
    linear: bool = False

    def count(self, channels: int) -> int:
        """Heads of that many channels."""
        return self.heads or channels // self.width


UNET_1 = Attending(heads=8)
UNET_2 = Attending(width=64, linear=True)
"""Configurations of the checkpoints v1-5 and v2-base (attention_head_dim 5, 10, 20, 20 counts heads)."""


def unet(
    b: GraphBuilder,
    latents: Tensor,
    context: Tensor,
    time_features: Tensor,
    attending: Attending = UNET_1,
    name: str = "unet",
    control: Sequence[Tensor] = (),
) -> Tensor:
    """Predicted noise (batch, 4, height, width) from latents of that shape.

    ``context`` is the encoded text (batch, 77, features), ``time_features`` the sinusoids (batch, 320) of the
    time step, ``control`` what a ControlNet adds to each level and to the coarsest features.
    """
    with b.scope(name):
        time = embedded_vector(b, time_features, 4 * _CHANNELS[0])
        x = conv(b, latents, _CHANNELS[0], 3, name="conv_in")
        x, skips = unet_encoder(b, x, context, time, attending)
        if control:
            skips = [
                add(b, y, more, name=f"controlled{i}")
                for i, (y, more) in enumerate(zip(skips, control[:-1], strict=True))
            ]
            x = add(b, x, control[-1], name="controlled")
        x = _up(b, x, skips, context, time, attending)
        return conv(b, activation(b, group_norm(b, x, GROUPS, "norm_out"), "silu"), 4, 3, name="conv_out")


def unet_encoder(
    b: GraphBuilder, x: Tensor, context: Tensor, time: Tensor, attending: Attending
) -> tuple[Tensor, list[Tensor]]:
    """The coarsest features behind the middle blocks, and what the way up joins again."""
    x, skips = _down(b, x, context, time, attending)
    x = resnet_block(b, x, _CHANNELS[-1], time=time, name="mid0")
    x = _transformer(b, x, context, attending, name="mid_attention")
    return resnet_block(b, x, _CHANNELS[-1], time=time, name="mid1"), skips


def _down(
    b: GraphBuilder, x: Tensor, context: Tensor, time: Tensor, attending: Attending
) -> tuple[Tensor, list[Tensor]]:
    """The coarsest features, and what the way up joins again."""
    skips = [x]
    for level, channels in enumerate(_CHANNELS):
        with b.scope(f"down{level}"):
            for index in range(_RESNETS):
                x = resnet_block(b, x, channels, time=time, name=f"resnet{index}")
                if level < _ATTENDING_LEVELS:
                    x = _transformer(b, x, context, attending, name=f"attention{index}")
                skips.append(x)
            if level < len(_CHANNELS) - 1:
                x = conv(b, x, channels, 3, stride=2, padding=1, name="downsample")
                skips.append(x)
    return x, skips


def _up(b: GraphBuilder, x: Tensor, skips: list[Tensor], context: Tensor, time: Tensor, attending: Attending) -> Tensor:
    for level in reversed(range(len(_CHANNELS))):
        with b.scope(f"up{level}"):
            for index in range(_RESNETS + 1):
                x = b.add(Concat(1), x, skips.pop(), name="join")
                x = resnet_block(b, x, _CHANNELS[level], time=time, name=f"resnet{index}")
                if level < _ATTENDING_LEVELS:
                    x = _transformer(b, x, context, attending, name=f"attention{index}")
            if level > 0:
                x = upsampled(b, x, _CHANNELS[level])
    return x


def _transformer(b: GraphBuilder, x: Tensor, context: Tensor, attending: Attending, name: str) -> Tensor:
    """One transformer block over the pixels of x: attention to pixels, to the text, gated feed-forward."""
    channels, heads = x.shape[1], attending.count(x.shape[1])
    with b.scope(name):
        normed = group_norm(b, x, GROUPS)
        if attending.linear:
            y = linear(b, _tokens(b, normed), channels, name="proj_in")
        else:
            y = _tokens(b, conv(b, normed, channels, 1, name="proj_in"))
        y = add(b, y, _attention(b, layer_norm(b, y, "norm1"), None, heads, "self"))
        y = add(b, y, _attention(b, layer_norm(b, y, "norm2"), context, heads, "cross"))
        y = add(b, y, _geglu(b, layer_norm(b, y, "norm3")))
        if attending.linear:
            y = linear(b, y, channels, name="proj_out")
        y = b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1)), y, name="pixels_last"), name="image")
        return add(b, x, y if attending.linear else conv(b, y, channels, 1, name="proj_out"))


def _tokens(b: GraphBuilder, x: Tensor) -> Tensor:
    """(batch, channels, height, width) as (batch, height x width, channels)."""
    batch, channels, height, width = x.shape
    y = b.add(Reshape((batch, channels, height * width)), x, name="pixels")
    return b.add(Transpose((0, 2, 1)), y, name="tokens")


def _attention(b: GraphBuilder, x: Tensor, context: Tensor | None, heads: int, name: str) -> Tensor:
    source = x if context is None else context
    with b.scope(name):
        q = linear(b, x, x.shape[-1], bias=False, name="q")
        k, v = (linear(b, source, x.shape[-1], bias=False, name=part) for part in ("k", "v"))
        return linear(b, heads_attention(b, q, k, v, heads), x.shape[-1], name="out")


def _geglu(b: GraphBuilder, x: Tensor) -> Tensor:
    """Feed-forward of four times the width; value and gate come from one product (Shazeer 2020, GEGLU)."""
    width = x.shape[-1]
    with b.scope("mlp"):
        joint = linear(b, x, 8 * width, name="up")
        value, gate = b.add_all(Split(-1, (4 * width, 4 * width)), joint, name="chunk")
        return linear(b, b.add(Mul(), value, b.add(Gelu(), gate), name="gated"), width, name="down")
