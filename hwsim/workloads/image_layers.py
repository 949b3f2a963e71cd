"""Layers of image networks beyond convolutions: blurred strides, gates over channels, layer norm over channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.attention import Attention
from hwsim.operators.cast import Cast
from hwsim.operators.conv1d import Conv1d
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.div import Div
from hwsim.operators.embedding import Embedding
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers

__all__ = [
    "blur",
    "channel_gate",
    "channel_norm",
    "efficient_gate",
    "evo_norm",
    "fused_attention",
    "mixed_conv",
    "plain_attention",
    "position_bias",
    "rounded",
    "same_padding",
    "standard_conv",
    "to_image",
    "to_sequence",
    "whole_gate",
]

_TO_LAST = Transpose((0, 2, 3, 1))
_TO_SECOND = Transpose((0, 3, 1, 2))


def rounded(channels: float, *, divisor: int = 8, limit: float = 0.9) -> int:
    """The nearest multiple of ``divisor``, raised by one where rounding lost more than ``limit`` allows.

    >>> rounded(33.6), rounded(4), rounded(12.5, limit=0.0)
    (32, 8, 16)
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < limit * channels else nearest


def same_padding(b: GraphBuilder, x: Tensor, kernel: int, stride: int, name: str) -> Tensor:
    """X padded as TensorFlow does, the odd pixel last: a copy of its own before a convolution without padding."""
    sides = []
    for size in x.shape[2:]:
        missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        sides.append((missing // 2, missing - missing // 2))
    return b.add(Pad(((0, 0), (0, 0), *sides)), x, name=f"{name}_pad")


def blur(
    b: GraphBuilder, x: Tensor, kernel: int, stride: int, name: str = "blur", *, border: str = "reflect"
) -> Tensor:
    """A fixed binomial filter with the stride (Zhang 2019, Making Convolutional Networks Shift-Invariant Again)."""
    channels, padding = x.shape[1], (stride - 1 + kernel - 1) // 2
    x = b.add(Pad(((0, 0), (0, 0), (padding, padding), (padding, padding)), mode=border), x, name=f"{name}_pad")
    with b.scope(name):
        filters = b.state("filter", (channels, 1, kernel, kernel))
    return b.add(Conv2d(stride=(stride, stride), padding=(0, 0), groups=channels), x, filters, name=name)


def channel_gate(b: GraphBuilder, x: Tensor, ratio: float = 1 / 16, *, limit: float = 0.0) -> Tensor:
    """Squeeze-and-excite whose inner width is a multiple of 8 (Hu et al. 2018, section 3)."""
    return layers.squeeze_excite(b, x, rounded(x.shape[1] * ratio, limit=limit), act="relu", gate="sigmoid")


def efficient_gate(b: GraphBuilder, x: Tensor, name: str = "eca", *, size: int = 0) -> Tensor:
    """Channels scaled by a convolution of ``size`` over their means, or so long as they are many (Wang et al. 2020)."""
    batch, channels = x.shape[:2]
    if not size:
        half = int(abs(math.log2(channels) + 1) / 2)
        size = max(half if half % 2 else half + 1, 3)
    with b.scope(name):
        y = b.add(Reshape((batch, 1, channels)), layers.global_average(b, x))
        y = b.add(Conv1d(padding=size // 2), y, b.weight("weight", (1, 1, size)), name="conv")
        y = b.add(Reshape((batch, channels, 1, 1)), layers.activation(b, y, "sigmoid"))
        return layers.multiply(b, x, y)


def whole_gate(b: GraphBuilder, x: Tensor, gate: str = "sigmoid") -> Tensor:
    """Channels scaled by one product of their means (Lee and Park 2020, CenterMask, equation 2)."""
    with b.scope("gate"):
        y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        y = layers.activation(b, layers.conv(b, y, x.shape[1], 1, name="conv"), gate)
        return layers.multiply(b, x, y)


def to_sequence(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, pixels, channels) of an image."""
    return b.add(Transpose((0, 2, 1)), b.add(Reshape((*image.shape[:2], -1)), image))


def to_image(b: GraphBuilder, x: Tensor, side: Sequence[int]) -> Tensor:
    """(batch, channels, height, width) of a sequence of pixels, height and width the two of ``side``."""
    return b.add(Reshape((x.shape[0], x.shape[2], *side)), b.add(Transpose((0, 2, 1)), x))


def channel_norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Layer normalisation over the channels of (batch, channels, height, width)."""
    return b.add(_TO_SECOND, layers.layer_norm(b, b.add(_TO_LAST, x), name=name, kept=True))


def evo_norm(b: GraphBuilder, x: Tensor, group: int, *, gated: bool = True, name: str = "evo") -> Tensor:
    """X sigmoid(v x) over the deviation of groups of channels (Liu et al. 2020, EvoNorm-S0, Table 3); bare: no gate.

    In kernels of their own: the deviation in fp32, spread over the image; parameters in the format of x.
    """
    batch, channels, height, width = x.shape
    parts = (batch, channels // group, group, height, width)
    with b.scope(name):
        grouped = b.add(Reshape(parts), b.add(Cast("fp32"), x, name="wide"))
        deviation = b.add(Cast(), b.add(ReduceAxes("l2", (2, 3, 4), True), grouped, name="deviation"), name="narrow")
        spread = b.add(Reshape(x.shape), b.add(Expand(parts), deviation, name="spread"))
        shape = (channels, 1, 1)
        if gated:
            scaled = layers.multiply(b, x, b.add(Cast(), b.weight("v", shape)), name="scaled")
            x = layers.multiply(b, x, layers.activation(b, scaled, "sigmoid"), name="gated")
        y = b.add(Div(), x, spread)
        y = layers.multiply(b, y, b.add(Cast(), b.weight("gamma", shape)), name="gamma_scale")
        return layers.add(b, y, b.add(Cast(), b.weight("beta", shape)), name="shift")


def fused_attention(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, scores: Tensor | None = None) -> Tensor:
    """(batch, heads, seq, dim) of queries on keys and values that are there already; ``scores`` is added to theirs."""
    operands = (q, k, v) if scores is None else (q, k, v, scores)
    return b.add(Attention(), *operands, name="attention")


def plain_attention(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, scores: Tensor | None = None) -> Tensor:
    """The same for (batch heads, seq, dim), kernel by kernel and in the format of q: fused kernels need the heads.

    Both q and k are scaled by the root of the factor (PyTorch, scaled_dot_product_attention, math kernel).
    """
    root = q.shape[-1] ** -0.25
    made = [b.add(Mul(root), part, name=f"{name}_scaled") for part, name in ((q, "q"), (k, "k"))]
    y = b.add(Matmul(transpose_b=True), *made, name="scores")
    y = layers.add(b, y, scores, name="biased") if scores is not None else y
    return b.add(Matmul(), b.add(Softmax(kept=True), y, name="weights"), v, name="values")


def position_bias(b: GraphBuilder, table: Tensor, seq: int) -> Tensor:
    """(1, heads, seq, seq): a row of the table (distances, heads) for each pair of positions."""
    heads = table.shape[1]
    places = b.state("places", (seq * seq,), "int64")
    rows = b.add(Reshape((seq, seq, heads)), b.add(Embedding(), places, table))
    return b.add(Reshape((1, heads, seq, seq)), b.add(Transpose((2, 0, 1)), rows))


def mixed_conv(
    b: GraphBuilder,
    x: Tensor,
    shares: Tensor,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    name: str,
) -> Tensor:
    """A convolution whose weights are sums of experts by ``shares`` (batch, experts), other ones for each image.

    All images as channels of one, in groups, as timm has it (Yang et al. 2019, CondConv, equation 1).
    """
    batch, read, height, width = x.shape
    shape = (batch * channels, read // groups, kernel, kernel)
    with b.scope(name):
        experts = b.weight("weight", (shares.shape[1], channels * read // groups * kernel * kernel))
        weights = b.add(Reshape(shape), b.add(Matmul(), shares, experts, name="weights"))
    y = b.add(Reshape((1, batch * read, height, width)), b.add(Transpose((0, 1, 2, 3), copied=True), x))
    op = Conv2d(stride=(stride, stride), padding=((kernel - 1) // 2,) * 2, groups=groups * batch)
    y = b.add(op, y, weights, name=name)
    return b.add(Reshape((batch, channels, *y.shape[2:])), y)


def standard_conv(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int | None = None,
    groups: int = 1,
    scaled: bool = False,
    name: str,
) -> Tensor:
    """A convolution whose weights are normalised each time (Qiao et al. 2019, Weight Standardization, equation 1).

    ``scaled``: with a gain for each channel and a bias (Brock et al. 2021, NF-ResNets, section 4.3).
    """
    shape = (channels, x.shape[1] // groups, kernel, kernel)
    with b.scope(name):
        rows = b.add(Reshape((channels, -1)), b.weight("weight", shape))
        rows = layers.layer_norm(b, rows, name="standard", affine=False, kept=True)
        rows = layers.multiply(b, rows, b.weight("gain", (channels, 1)), name="gained") if scaled else rows
        operands = [b.add(Reshape(shape), rows), *([b.weight("bias", (channels,))] if scaled else [])]
    pads = ((kernel - 1) // 2 if padding is None else padding,) * 2
    return b.add(Conv2d(stride=(stride, stride), padding=pads, groups=groups), x, *operands, name=name)
