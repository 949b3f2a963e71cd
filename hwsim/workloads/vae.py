"""The image decoder of latent diffusion: AutoencoderKL (Rombach et al. 2022, High-Resolution Image Synthesis)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads.dit import heads_attention
from hwsim.workloads.layers import activation, add, conv, group_norm, linear

__all__ = ["GROUPS", "resnet_block", "upsampled", "vae_decoder"]

GROUPS = 32
"""Groups of every group norm here (diffusers' ``norm_num_groups``)."""

_CHANNELS = (512, 512, 256, 128)
"""Channels of the decoder's levels, coarse to fine: ``block_out_channels`` of all four models, reversed."""


def resnet_block(
    b: GraphBuilder, x: Tensor, channels: int, *, time: Tensor | None = None, name: str = "resnet"
) -> Tensor:
    """Two 3x3 convolutions with norm and SiLU before each, a time vector (batch, k) added between, a shortcut."""
    with b.scope(name):
        y = conv(b, activation(b, group_norm(b, x, GROUPS, "norm1"), "silu"), channels, 3, name="conv1")
        if time is not None:
            shift = linear(b, activation(b, time, "silu"), channels, name="time")
            y = add(b, y, b.add(Reshape((x.shape[0], channels, 1, 1)), shift, name="time_view"), name="timed")
        y = conv(b, activation(b, group_norm(b, y, GROUPS, "norm2"), "silu"), channels, 3, name="conv2")
        if x.shape[1] != channels:
            x = conv(b, x, channels, 1, name="shortcut")
        return add(b, x, y)


def upsampled(b: GraphBuilder, x: Tensor, channels: int, name: str = "upsample") -> Tensor:
    """Nearest pixels to twice the size, and a 3x3 convolution."""
    return conv(b, b.add(Resize(scales=(2, 2), mode="nearest"), x, name=f"{name}_pixels"), channels, 3, name=name)


def pixel_attention(b: GraphBuilder, x: Tensor, name: str = "attention") -> Tensor:
    """One head over all pixels of (batch, channels, height, width), norm before, residual after."""
    batch, channels, height, width = x.shape
    with b.scope(name):
        y = b.add(Reshape((batch, channels, height * width)), group_norm(b, x, GROUPS), name="pixels")
        y = b.add(Transpose((0, 2, 1)), y, name="channels_last")
        q, k, v = (linear(b, y, channels, name=part) for part in ("q", "k", "v"))
        y = linear(b, heads_attention(b, q, k, v, 1), channels, name="out")
        y = b.add(Transpose((0, 2, 1)), y, name="channels_first")
        return b.add(Add(), x, b.add(Reshape(x.shape), y, name="image"), name="residual")


def vae_decoder(b: GraphBuilder, x: Tensor, *, post_quant: bool) -> Tensor:
    """Images (batch, 3, 8 height, 8 width) from latents (batch, channels, height, width).

    ``post_quant``: a 1x1 convolution before the decoder, which Stable Diffusion 3 and Flux left out.
    """
    with b.scope("vae"):
        if post_quant:
            x = conv(b, x, x.shape[1], 1, name="post_quant")
        x = conv(b, x, _CHANNELS[0], 3, name="conv_in")
        x = resnet_block(b, x, _CHANNELS[0], name="mid0")
        x = resnet_block(b, pixel_attention(b, x, "mid_attention"), _CHANNELS[0], name="mid1")
        for level, channels in enumerate(_CHANNELS):
            with b.scope(f"up{level}"):
                for index in range(3):
                    x = resnet_block(b, x, channels, name=f"resnet{index}")
                if level < len(_CHANNELS) - 1:
                    x = upsampled(b, x, channels)
        return conv(b, activation(b, group_norm(b, x, GROUPS, "norm_out"), "silu"), 3, 3, name="conv_out")
