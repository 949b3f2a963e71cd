"""The decoder of CogVideoX's causal 3-D autoencoder (Yang et al. 2025, section 2.1): two latent frames at a time."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.mul import Mul
from hwsim.operators.upsample import Resize
from hwsim.workloads.layers import activation, add, conv, conv3d, group_norm
from hwsim.workloads.video_layers import cached_conv, per_frame

__all__ = ["cogvideox_decoder", "cogvideox_pieces"]

_LEVELS = ((512, (2, 2, 2)), (256, (2, 2, 2)), (256, (1, 2, 2)), (128, ()))
"""Channels of each level, and how it is enlarged in time, height and width."""

_RESNETS = 4
_GROUPS = 32
_PIECE = 2


def cogvideox_pieces(times: int) -> tuple[int, int]:
    """How many pieces a clip of that many latent frames is decoded in, and the latent frames of each.

    An odd clip's first piece has one latent frame more, which gives one more frame; that frame is not counted here.

    >>> cogvideox_pieces(13)
    (6, 2)
    """
    return max(1, times // _PIECE), min(times, _PIECE)


def cogvideox_decoder(b: GraphBuilder, x: Tensor) -> Tensor:
    """Frames (batch, 3, 4 t, 8 h, 8 w) from latents (batch, 16, t, h, w) and what earlier pieces left."""
    with b.scope("vae"):
        y = cached_conv(b, x, _LEVELS[0][0], name="conv_in")
        for index in range(2):
            y = _resnet(b, y, x, _LEVELS[0][0], f"mid{index}")
        for level, (channels, scales) in enumerate(_LEVELS):
            with b.scope(f"up{level}"):
                for index in range(_RESNETS):
                    y = _resnet(b, y, x, channels, f"resnet{index}")
                if scales:
                    y = _upsampled(b, y, scales)
        return cached_conv(b, activation(b, _spatial_norm(b, y, x, "norm_out"), "silu"), 3, name="conv_out")


def _spatial_norm(b: GraphBuilder, x: Tensor, latents: Tensor, name: str) -> Tensor:
    """Group norm, scaled and shifted by 1x1x1 convolutions of the latents (Zheng et al. 2022, MoVQ, Eq. 4)."""
    z = b.add(Resize(scales=None, size=x.shape[2:]), latents, name=f"{name}_latents")
    with b.scope(name):
        scale = conv3d(b, z, x.shape[1], (1, 1, 1), name="scale")
        shift = conv3d(b, z, x.shape[1], (1, 1, 1), name="shift")
    scaled = b.add(Mul(), group_norm(b, x, _GROUPS, name), scale, name=f"{name}_scaled")
    return b.add(Add(), scaled, shift, name=f"{name}_shifted")


def _resnet(b: GraphBuilder, x: Tensor, latents: Tensor, channels: int, name: str) -> Tensor:
    with b.scope(name):
        y = cached_conv(b, activation(b, _spatial_norm(b, x, latents, "norm1"), "silu"), channels, name="conv1")
        y = cached_conv(b, activation(b, _spatial_norm(b, y, latents, "norm2"), "silu"), channels, name="conv2")
        if x.shape[1] != channels:
            x = conv3d(b, x, channels, (1, 1, 1), name="shortcut")
        return add(b, y, x)


def _upsampled(b: GraphBuilder, x: Tensor, scales: tuple[int, ...]) -> Tensor:
    """Nearest neighbours, then a 3x3 convolution of every frame; a single frame (an image) stays one."""
    if x.shape[2] == 1:
        scales = (1, *scales[1:])
    y = b.add(Resize(scales=scales), x, name="upsample_pixels")
    return per_frame(b, y, lambda image: conv(b, image, x.shape[1], 3, name="upsample"), "upsample")
