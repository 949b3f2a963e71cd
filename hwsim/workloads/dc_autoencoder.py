"""The decoder of DC-AE f32c32 (Chen et al. 2025, Deep Compression Autoencoder): pixels from 32 times smaller latents.

Fine levels are ResNet blocks, coarse ones EfficientViT blocks: linear attention (Cai et al. 2023, EfficientViT,
Fig. 5) on q, k and v at two scales, then a gated feed-forward with a depthwise convolution.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.cast import Cast
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads.layers import activation, add, conv, linear, rms_norm

__all__ = ["dc_decoder", "gated_conv_mlp", "linear_attention"]

_LEVELS = ((1024, True), (1024, True), (512, True), (512, False), (256, False), (128, False))
"""Channels of each level, coarse to fine, and whether its blocks attend."""

_BLOCKS = 3
_HEAD_DIM = 32


def dc_decoder(b: GraphBuilder, x: Tensor) -> Tensor:
    """Images (batch, 3, 32 height, 32 width) from latents (batch, 32, height, width)."""
    with b.scope("vae"):
        repeated = _repeated_channels(b, x, _LEVELS[0][0], "shortcut_in")
        x = add(b, conv(b, x, _LEVELS[0][0], 3, name="conv_in"), repeated, name="entered")
        for level, (channels, attends) in enumerate(_LEVELS):
            with b.scope(f"up{level}"):
                if level:
                    x = _upsampled(b, x, channels)
                for index in range(_BLOCKS):
                    with b.scope(f"block{index}"):
                        x = _attending_block(b, x) if attends else _resnet_block(b, x)
        y = activation(b, _channel_norm(b, x, "norm_out"), "relu")
        return conv(b, y, 3, 3, name="conv_out")


def linear_attention(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """ReLU attention (batch, heads, dim, seq) without scores: (v relu(k)^T) relu(q), in fp32, divided by its sums.

    q, k and v are (batch, heads, dim, seq). Source: Katharopoulos et al. 2020, Transformers are RNNs, Eq. 6; the row of
    ones that makes the sums is EfficientViT's.
    """
    dim = v.shape[2]
    q = b.add(Cast("fp32"), b.add(Relu(), q, name="q_relu"), name="q_fp32")
    k = b.add(Cast("fp32"), b.add(Relu(), k, name="k_relu"), name="k_fp32")
    v = b.add(Cast("fp32"), v, name="v_fp32")
    v = b.add(Pad(((0, 0), (0, 0), (0, 1), (0, 0)), 1.0), v, name="v_and_ones")
    mixed = b.add(Matmul(transpose_b=True), v, k, name="values_by_keys")
    y = b.add(Matmul(), mixed, q, name="values_by_queries")
    sums = b.add(Slice(2, dim, dim + 1), y, name="sums")
    y = b.add(Div(), b.add(Slice(2, 0, dim), y, name="weighted"), sums, name="averages")
    return b.add(Cast(), y, name="averages_cast")


def gated_conv_mlp(b: GraphBuilder, x: Tensor, hidden: int, name: str = "mlp") -> Tensor:
    """Feed-forward over (batch, channels, height, width): 1x1, SiLU, depthwise 3x3, gate, 1x1 (Sana's Mix-FFN)."""
    with b.scope(name):
        y = activation(b, conv(b, x, 2 * hidden, 1, name="inverted"), "silu")
        y = conv(b, y, 2 * hidden, 3, groups=2 * hidden, name="depthwise")
        value, gate = b.add_all(Split(1, (hidden, hidden)), y, name="chunk")
        y = b.add(Mul(), value, activation(b, gate, "silu"), name="gated")
        return conv(b, y, x.shape[1], 1, bias=False, name="pointwise")


def _channel_norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """RMS norm over the channels of each pixel, with scale and shift."""
    y = b.add(Transpose((0, 2, 3, 1)), x, name=f"{name}_channels_last")
    with b.scope(name):
        shift = b.weight("beta", (x.shape[1],))
    y = add(b, rms_norm(b, y, name), shift, name=f"{name}_shifted")
    return b.add(Transpose((0, 3, 1, 2)), y, name=f"{name}_channels_first")


def _resnet_block(b: GraphBuilder, x: Tensor) -> Tensor:
    channels = x.shape[1]
    y = activation(b, conv(b, x, channels, 3, name="conv1"), "silu")
    return add(b, _channel_norm(b, conv(b, y, channels, 3, bias=False, name="conv2"), "norm"), x)


def _attending_block(b: GraphBuilder, x: Tensor) -> Tensor:
    x = add(b, _multiscale_attention(b, x), x, name="attended")
    y = _channel_norm(b, gated_conv_mlp(b, x, 4 * x.shape[1]), "mlp_norm")
    return add(b, y, x, name="out")


def _multiscale_attention(b: GraphBuilder, x: Tensor) -> Tensor:
    """Linear attention on q, k and v as they are, and aggregated by depthwise 5x5 and grouped 1x1 convolutions."""
    batch, channels, height, width = x.shape
    heads = channels // _HEAD_DIM
    with b.scope("attention"):
        last = b.add(Transpose((0, 2, 3, 1)), x, name="channels_last")
        parts = [linear(b, last, channels, bias=False, name=part) for part in ("q", "k", "v")]
        joint = b.add(Transpose((0, 3, 1, 2)), b.add(Concat(3), *parts, name="qkv"), name="qkv_channels_first")
        wide = conv(b, joint, 3 * channels, 5, groups=3 * channels, bias=False, name="aggregate_depthwise")
        wide = conv(b, wide, 3 * channels, 1, groups=3 * heads, bias=False, name="aggregate_grouped")
        both = b.add(Concat(1), joint, wide, name="scales")
        both = b.add(Reshape((batch, 2 * heads, 3 * _HEAD_DIM, height * width)), both, name="heads")
        q, k, v = b.add_all(Split(2, (_HEAD_DIM,) * 3), both, name="chunk")
        y = b.add(Reshape((batch, 2 * channels, height, width)), linear_attention(b, q, k, v), name="image")
        y = b.add(Transpose((0, 2, 3, 1)), y, name="out_channels_last")
        y = rms_norm(b, linear(b, y, channels, bias=False, name="out"), "norm")
        with b.scope("norm"):
            shift = b.weight("beta", (channels,))
        return b.add(Transpose((0, 3, 1, 2)), add(b, y, shift, name="norm_shifted"), name="out_channels_first")


def _repeated_channels(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """Every channel repeated until there are that many."""
    batch, width, height, cols = x.shape
    y = b.add(Reshape((batch, width, 1, height, cols)), x, name=f"{name}_channels")
    y = b.add(Expand((batch, width, channels // width, height, cols)), y, name=f"{name}_repeated")
    return b.add(Reshape((batch, channels, height, cols)), y, name=name)


def _upsampled(b: GraphBuilder, x: Tensor, channels: int) -> Tensor:
    """Twice the size: nearest pixels and a convolution, plus channels repeated and shuffled into pixels."""
    batch, _, height, width = x.shape
    y = conv(b, b.add(Resize(scales=(2, 2)), x, name="upsample_pixels"), channels, 3, name="upsample")
    z = _repeated_channels(b, x, 4 * channels, "shortcut")
    z = b.add(Reshape((batch, channels, 2, 2, height, width)), z, name="shuffle_grid")
    z = b.add(Transpose((0, 1, 4, 2, 5, 3)), z, name="pixel_shuffle")
    return b.add(Add(), y, b.add(Reshape(y.shape), z, name="shuffled"), name="upsampled")
