"""The decoder of Wan 2.1's causal 3-D autoencoder (Wan Team 2025, Wan, section 4.1): one latent frame at a time."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads.layers import activation, add, conv, conv3d
from hwsim.workloads.video_layers import cached_conv, channel_rms_norm, per_frame

__all__ = ["wan_decoder"]

_WIDEST = 384
_LEVELS = ((384, 2), (384, 2), (192, 1), (96, 0))
"""Channels of each level, and how it is enlarged: 2 in time and space, 1 in space, 0 not at all."""

_RESNETS = 3


def wan_decoder(b: GraphBuilder, x: Tensor) -> Tensor:
    """Four frames (batch, 3, 4, 8 h, 8 w) from one latent frame (batch, 16, 1, h, w) and what earlier ones left.

    The clip's first latent frame gives one frame only: a clip of 4 n + 1 frames costs 3 frames less than n + 1 repeats
    of this.
    """
    with b.scope("vae"):
        x = conv3d(b, x, x.shape[1], (1, 1, 1), name="post_quant")
        x = cached_conv(b, x, _WIDEST, name="conv_in")
        x = _resnet(b, x, _WIDEST, "mid0")
        x = _resnet(b, _attention(b, x, "mid_attention"), _WIDEST, "mid1")
        for level, (channels, enlarged) in enumerate(_LEVELS):
            with b.scope(f"up{level}"):
                for index in range(_RESNETS):
                    x = _resnet(b, x, channels, f"resnet{index}")
                if enlarged == 2:
                    x = _more_frames(b, x)
                if enlarged:
                    x = per_frame(b, x, lambda y: _larger_image(b, y), "upsample")
        return cached_conv(b, activation(b, channel_rms_norm(b, x, "norm_out"), "silu"), 3, name="conv_out")


def _resnet(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    with b.scope(name):
        shortcut = x if x.shape[1] == channels else conv3d(b, x, channels, (1, 1, 1), name="shortcut")
        y = cached_conv(b, activation(b, channel_rms_norm(b, x, "norm1"), "silu"), channels, name="conv1")
        y = cached_conv(b, activation(b, channel_rms_norm(b, y, "norm2"), "silu"), channels, name="conv2")
        return add(b, shortcut, y)


def _attention(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """One head over the positions of each frame; q, k and v from one 1x1 convolution."""

    def layer(image: Tensor) -> Tensor:
        frames, channels, height, width = image.shape
        y = conv(b, channel_rms_norm(b, image, "norm"), 3 * channels, 1, name="qkv")
        y = b.add(Reshape((frames, 1, 3 * channels, height * width)), y, name="positions")
        y = b.add(Transpose((0, 1, 3, 2)), y, name="channels_last")
        q, k, v = b.add_all(Split(-1, (channels,) * 3), y, name="chunk")
        y = b.add(Transpose((0, 1, 3, 2)), b.add(Attention(), q, k, v, name="attention"), name="channels_first")
        return conv(b, b.add(Reshape(image.shape), y, name="image"), channels, 1, name="proj")

    with b.scope(name):
        return b.add(Add(), per_frame(b, x, layer, "frames"), x, name="residual")


def _more_frames(b: GraphBuilder, x: Tensor) -> Tensor:
    """Twice the frames: twice the channels by a convolution in time, half of them becoming frames of their own."""
    batch, channels, frames, height, width = x.shape
    y = cached_conv(b, x, 2 * channels, (3, 1, 1), name="time_conv")
    y = b.add(Reshape((batch, 2, channels, frames, height, width)), y, name="time_pairs")
    y = b.add(Transpose((0, 2, 3, 1, 4, 5)), y, name="time_interleaved")
    return b.add(Reshape((batch, channels, 2 * frames, height, width)), y, name="more_frames")


def _larger_image(b: GraphBuilder, x: Tensor) -> Tensor:
    """Nearest pixels to twice the size, and a 3x3 convolution to half the channels."""
    return conv(b, b.add(Resize(scales=(2, 2)), x, name="upsample_pixels"), x.shape[1] // 2, 3, name="upsample")
