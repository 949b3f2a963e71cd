"""The decoder of HunyuanVideo's causal 3-D autoencoder (Kong et al. 2024, HunyuanVideo, section 4.1)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads.dit import heads_attention
from hwsim.workloads.layers import activation, add, conv3d, group_norm, linear

__all__ = ["hunyuan_video_decoder", "hunyuan_video_pieces"]

_CHANNELS = (512, 512, 256, 128)
_SCALES = ((1, 2, 2), (2, 2, 2), (2, 2, 2), ())
_RESNETS = 3
_GROUPS = 32
_PIECE = 4
_ADVANCE = 3


def hunyuan_video_pieces(times: int) -> tuple[int, int]:
    """How many pieces a clip of that many latent frames is decoded in, and the latent frames of each.

    Longer clips go 3 latent frames at a time, each piece with 2 of the next for blending: the default tiling in time
    (tile 16 frames, stride 12) of diffusers' AutoencoderKLHunyuanVideo. Height and width are not tiled.

    >>> hunyuan_video_pieces(33), hunyuan_video_pieces(3)
    ((11, 5), (1, 3))
    """
    if times <= _PIECE:
        return 1, times
    return -(-times // _ADVANCE), _PIECE + 1


def hunyuan_video_decoder(b: GraphBuilder, x: Tensor) -> Tensor:
    """Frames (batch, 3, 4 t - 3, 8 h, 8 w) from latents (batch, 16, t, h, w)."""
    with b.scope("vae"):
        x = conv3d(b, x, x.shape[1], (1, 1, 1), name="post_quant")
        x = _causal_conv(b, x, _CHANNELS[0], 3, "conv_in")
        x = _resnet(b, x, _CHANNELS[0], "mid0")
        x = _resnet(b, _attention(b, x, "mid_attention"), _CHANNELS[0], "mid1")
        for level, channels in enumerate(_CHANNELS):
            with b.scope(f"up{level}"):
                for index in range(_RESNETS):
                    x = _resnet(b, x, channels, f"resnet{index}")
                if _SCALES[level]:
                    x = _causal_conv(b, _upsampled(b, x, _SCALES[level]), channels, 3, "upsample")
        return _causal_conv(b, activation(b, group_norm(b, x, _GROUPS, "norm_out"), "silu"), 3, 3, "conv_out")


def _causal_conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    """A cubic convolution after padding the sides and, in time, the past only."""
    if kernel > 1:
        side = kernel // 2
        x = b.add(Pad(((0, 0), (0, 0), (kernel - 1, 0), (side, side), (side, side))), x, name=f"{name}_padded")
    return conv3d(b, x, channels, (kernel, kernel, kernel), name=name)


def _resnet(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    with b.scope(name):
        y = _causal_conv(b, activation(b, group_norm(b, x, _GROUPS, "norm1"), "silu"), channels, 3, "conv1")
        y = _causal_conv(b, activation(b, group_norm(b, y, _GROUPS, "norm2"), "silu"), channels, 3, "conv2")
        if x.shape[1] != channels:
            x = _causal_conv(b, x, channels, 1, "shortcut")
        return add(b, x, y)


def _attention(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """One head over all positions of all frames of the piece."""
    batch, channels, *grid = x.shape
    with b.scope(name):
        y = b.add(Transpose((0, 2, 3, 4, 1)), group_norm(b, x, _GROUPS), name="channels_last")
        y = b.add(Reshape((batch, grid[0] * grid[1] * grid[2], channels)), y, name="tokens")
        q, k, v = (linear(b, y, channels, name=part) for part in ("q", "k", "v"))
        y = linear(b, heads_attention(b, q, k, v, 1), channels, name="out")
        y = b.add(Reshape((batch, *grid, channels)), y, name="grid")
        return add(b, x, b.add(Transpose((0, 4, 1, 2, 3)), y, name="channels_first"))


def _upsampled(b: GraphBuilder, x: Tensor, scales: tuple[int, ...]) -> Tensor:
    """Nearest neighbours; the first frame is doubled in height and width only."""
    frames = x.shape[2]
    if frames == 1 or scales[0] == 1:
        return b.add(Resize(scales=(1, *scales[1:])), x, name="upsample_pixels")
    first = b.add(Resize(scales=(1, *scales[1:])), b.add(Slice(2, 0, 1), x, name="first"), name="first_pixels")
    rest = b.add(Resize(scales=scales), b.add(Slice(2, 1, frames), x, name="rest"), name="rest_pixels")
    return b.add(Concat(2), first, rest, name="upsample_pixels")
