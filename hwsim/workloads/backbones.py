"""Features at several strides from well-known classifiers, as detectors and segmenters take them."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers

__all__ = [
    "dilated_conv",
    "inverted_residual",
    "mobilenet_v1_levels",
    "mobilenet_v2_levels",
    "pixel_shuffle",
    "resized",
    "resnet_levels",
    "resnet_stem",
]

_INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first: Sandler et al. 2018, MobileNetV2, Table 2."""
_SEPARABLE = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Channels, stride: Howard et al. 2017, MobileNets, Table 1."""


def dilated_conv(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    act: str = "relu",
    name: str,
) -> Tensor:
    """Convolution with holes, batch normalisation, activation."""
    y = layers.conv(b, x, channels, kernel, stride=stride, dilation=dilation, groups=groups, bias=False, name=name)
    return layers.activation(b, layers.batch_norm(b, y, f"{name}_bn"), act)


def resized(b: GraphBuilder, x: Tensor, size: Sequence[int], *, mode: str = "bilinear", name: str = "resize") -> Tensor:
    """The features with that height and width; themselves if they have them."""
    tall, wide = size[-2:]
    return x if x.shape[2:] == (tall, wide) else b.add(Resize(size=(tall, wide), mode=mode), x, name=name)


def resnet_stem(b: GraphBuilder, image: Tensor, channels: int = 64) -> Tensor:
    """A 7x7 convolution and a pool, both with stride 2 (He et al. 2016, Table 1)."""
    x = layers.conv_bn_act(b, image, channels, 7, stride=2, name="stem")
    return layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")


def resnet_levels(
    b: GraphBuilder,
    x: Tensor,
    depths: Sequence[int],
    *,
    bottleneck: bool,
    widths: Sequence[int] = (64, 128, 256, 512),
    strides: Sequence[int] = (1, 2, 2, 2),
    dilations: Sequence[int] = (1, 1, 1, 1),
    expansion: int = 4,
    groups: int = 1,
    act: str = "relu",
) -> list[Tensor]:
    """The output of each stage of residual blocks (He et al. 2016, Table 1) on features x.

    A stage with a dilation above 1 keeps the size; its first block has the dilation of the stage before.
    """
    found = []
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for place in range(depth):
            stride = strides[stage] if place == 0 and dilations[stage] == 1 else 1
            holes = dilations[max(stage - 1, 0)] if place == 0 else dilations[stage]
            with b.scope(f"layer{stage + 1}.{place}"):
                if bottleneck:
                    y = layers.conv_bn_act(b, x, width, 1, act=act, name="conv1")
                    y = dilated_conv(
                        b, y, width, 3, stride=stride, dilation=holes, groups=groups, act=act, name="conv2"
                    )
                    y = layers.conv_bn_act(b, y, expansion * width, 1, act="", name="conv3")
                else:
                    y = dilated_conv(b, x, width, 3, stride=stride, dilation=holes, act=act, name="conv1")
                    y = dilated_conv(b, y, width, 3, dilation=holes, act="", name="conv2")
                if y.shape != x.shape:
                    x = layers.conv_bn_act(b, x, y.shape[1], 1, stride=stride, act="", name="downsample")
                x = layers.activation(b, layers.add(b, y, x), act)
        found.append(x)
    return found


def inverted_residual(
    b: GraphBuilder,
    x: Tensor,
    expansion: float,
    channels: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    dilation: int = 1,
    act: str = "relu6",
) -> tuple[Tensor, Tensor]:
    """(output, widened features before the stride) of MobileNetV2's block (Sandler et al. 2018, Table 1)."""
    hidden = int(x.shape[1] * expansion)
    wide = layers.conv_bn_act(b, x, hidden, 1, act=act, name="expand") if expansion > 1 else x
    y = dilated_conv(
        b, wide, hidden, kernel, stride=stride, dilation=dilation, groups=hidden, act=act, name="depthwise"
    )
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return (layers.add(b, y, x) if y.shape == x.shape else y), wide


def mobilenet_v2_levels(
    b: GraphBuilder, image: Tensor, *, width: float = 1.0, stride: int = 32, last: int = 0, wide: bool = False
) -> dict[int, Tensor]:
    """Features by stride, and the last ones (after ``last`` channels, if any) under 0.

    Strides above ``stride`` become dilations; ``wide`` takes features where a block has widened them.
    """
    x = layers.conv_bn_act(b, image, layers.divisible(32 * width), 3, stride=2, act="relu6", name="stem")
    found: dict[int, Tensor] = {}
    place, reached, holes = 0, 2, 1
    for expansion, base, count, first_stride in _INVERTED:
        for step in range(count):
            move = first_stride if step == 0 else 1
            if reached * move > stride:
                move, next_holes = 1, holes * move
            else:
                next_holes = holes
            with b.scope(f"block{place}"):
                y, widened = inverted_residual(
                    b, x, expansion, layers.divisible(base * width), stride=move, dilation=holes
                )
            if move > 1:
                found[reached] = widened if wide else x
            x, holes, reached, place = y, next_holes, reached * move, place + 1
    found[reached] = x
    if last:
        x = layers.conv_bn_act(b, x, last, 1, act="relu6", name="head")
    return found | {0: x}


def mobilenet_v1_levels(
    b: GraphBuilder, image: Tensor, *, width: float = 1.0, stride: int = 32, blocks: int = 13, act: str = "relu6"
) -> dict[int, Tensor]:
    """Features by stride, and the last ones (after so many blocks) under 0.

    Strides above ``stride`` become dilations.
    """
    x = layers.conv_bn_act(b, image, layers.divisible(32 * width), 3, stride=2, act=act, name="stem")
    found: dict[int, Tensor] = {}
    reached, holes = 2, 1
    for place, (base, own_stride) in enumerate(_SEPARABLE[:blocks]):
        move = own_stride if reached * own_stride <= stride else 1
        with b.scope(f"block{place}"):
            y = dilated_conv(
                b, x, x.shape[1], 3, stride=move, dilation=holes, groups=x.shape[1], act=act, name="depthwise"
            )
            y = layers.conv_bn_act(b, y, layers.divisible(base * width), 1, act=act, name="pointwise")
        if move > 1:
            found[reached] = x
        holes *= own_stride // move
        x, reached = y, reached * move
    return found | {reached: x, 0: x}


def pixel_shuffle(b: GraphBuilder, x: Tensor, factor: int, name: str = "shuffle") -> Tensor:
    """(batch, channels / factor^2, factor height, factor width) (Shi et al. 2016, ESPCN, Eq. 4)."""
    batch, channels, height, width = x.shape
    x = b.add(Reshape((batch, channels // factor**2, factor, factor, height, width)), x, name=f"{name}_split")
    x = b.add(Transpose((0, 1, 4, 2, 5, 3)), x, name=name)
    return b.add(Reshape((batch, -1, factor * height, factor * width)), x, name=f"{name}_join")
