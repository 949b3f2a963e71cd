"""Blocks that the YOLO detectors share: cross-stage-partial stages, pooled pyramids, attention, detection heads.

Sources: Wang et al. 2020, CSPNet, Fig. 2; He et al. 2015, Spatial Pyramid Pooling, section 2; Jocher, Chaurasia and Qiu
2023, Ultralytics, nn/modules (block.py, head.py); Wang et al. 2024, YOLOv10, sections 3.2 and 3.3.
"""

from __future__ import annotations

import math

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.conv_transpose import ConvTranspose2d
from hwsim.operators.div import Div
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers

__all__ = [
    "BINS",
    "area_attention",
    "bottleneck",
    "c2f",
    "c3",
    "check_size",
    "conv",
    "decoded",
    "detect",
    "join",
    "prototypes",
    "scaled",
    "sppf",
    "up",
]

BINS = 16  # each side of a box is a distribution over this many distances


def check_size(image: Tensor, multiple: int = 32) -> None:
    """Raise InputError unless height and width are multiples of the coarsest stride."""
    height, width = image.shape[2:]
    if height % multiple or width % multiple:
        raise InputError(f"parameters 'height' and 'width' must be multiples of {multiple}, not {height} and {width}")


def scaled(base: int, width: float, widest: int = 1 << 20) -> int:
    """Channels of a layer of the base network times the width factor, rounded up to a multiple of eight."""
    return math.ceil(min(base, widest) * width / 8) * 8


def conv(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    act: str = "silu",
    name: str,
) -> Tensor:
    """Convolution, batch normalisation, SiLU (or another activation, or none)."""
    return layers.conv_bn_act(b, x, channels, kernel, stride=stride, groups=groups, act=act, name=name)


def join(b: GraphBuilder, *parts: Tensor, name: str = "concat") -> Tensor:
    """All channels beside each other."""
    return b.add(Concat(1), *parts, name=name)


def up(b: GraphBuilder, x: Tensor, name: str = "up") -> Tensor:
    """Twice the height and width, nearest neighbour."""
    return b.add(Resize(scales=(2, 2), mode="nearest"), x, name=name)


def bottleneck(
    b: GraphBuilder, x: Tensor, *, hidden: int, first: int = 3, residual: bool, act: str = "silu", name: str
) -> Tensor:
    """A ``first`` x ``first`` convolution to the hidden width and a 3x3 back, with a residual if asked."""
    with b.scope(name):
        y = conv(b, conv(b, x, hidden, first, act=act, name="cv1"), x.shape[1], 3, act=act, name="cv2")
        return layers.add(b, x, y) if residual else y


def c3(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    count: int,
    *,
    first: int = 1,
    residual: bool = True,
    act: str = "silu",
    name: str,
) -> Tensor:
    """Two paths of half the width, one through ``count`` bottlenecks, joined (C3 of YOLOv5, C3k with ``first`` 3)."""
    half = channels // 2
    with b.scope(name):
        y = conv(b, x, half, act=act, name="cv1")
        for step in range(count):
            y = bottleneck(b, y, hidden=half, first=first, residual=residual, act=act, name=f"m{step}")
        other = conv(b, x, half, act=act, name="cv2")
        return conv(b, join(b, y, other), channels, act=act, name="cv3")


def c2f(b: GraphBuilder, x: Tensor, channels: int, count: int, *, residual: bool, name: str) -> Tensor:
    """Split in halves, a chain of 3x3 pairs on the second, everything joined."""
    half = channels // 2
    with b.scope(name):
        parts = list(b.add_all(Split(1, (half, half)), conv(b, x, channels, name="cv1")))
        for step in range(count):
            parts.append(bottleneck(b, parts[-1], hidden=half, residual=residual, name=f"m{step}"))
        return conv(b, b.add(Concat(1), *parts), channels, name="cv2")


def sppf(b: GraphBuilder, x: Tensor, channels: int, *, act: str = "silu", name: str) -> Tensor:
    """Three 5x5 max pools in a row, all stages joined."""
    with b.scope(name):
        parts = [conv(b, x, x.shape[1] // 2, act=act, name="cv1")]
        for _ in range(3):
            parts.append(layers.pool(b, parts[-1], "max", 5, stride=1, padding=2))
        return conv(b, b.add(Concat(1), *parts), channels, act=act, name="cv2")


def area_attention(b: GraphBuilder, x: Tensor, *, name: str) -> Tensor:
    """Attention between the pixels of x, heads of 64 with keys of 32, and a feed-forward layer of twice the width."""
    batch, channels, height, width = x.shape
    heads, pixels = max(1, channels // 64), height * width
    dim = channels // heads
    key = dim // 2
    with b.scope(name):
        qkv = conv(b, x, channels + 2 * heads * key, act="", name="qkv")
        qkv = b.add(Reshape((batch, heads, 2 * key + dim, pixels)), qkv)
        q, k, v = b.add_all(Split(2, (key, key, dim)), qkv)
        scores = b.add(Matmul(), b.add(Transpose((0, 1, 3, 2)), q), k, name="scores")
        shares = b.add(Softmax(-1), b.add(Mul(scalar=key**-0.5), scores))
        y = b.add(Matmul(transpose_b=True), v, shares, name="weighted")
        y = b.add(Reshape(x.shape), y)
        place = conv(b, b.add(Reshape(x.shape), v), channels, 3, groups=channels, act="", name="pe")
        x = layers.add(b, x, conv(b, layers.add(b, y, place), channels, act="", name="proj"))
        y = conv(b, conv(b, x, 2 * channels, name="ffn0"), channels, act="", name="ffn1")
        return layers.add(b, x, y)


def _branch(b: GraphBuilder, x: Tensor, hidden: int, channels: int, name: str) -> Tensor:
    with b.scope(name):
        y = conv(b, conv(b, x, hidden, 3, name="0"), hidden, 3, name="1")
        return layers.conv(b, y, channels, 1, name="2")


def _light_branch(b: GraphBuilder, x: Tensor, hidden: int, channels: int, name: str) -> Tensor:
    """Depthwise and pointwise in place of full 3x3 convolutions (YOLOv10, section 3.3)."""
    with b.scope(name):
        for place in range(2):
            x = conv(b, x, x.shape[1], 3, groups=x.shape[1], name=f"{place}.dw")
            x = conv(b, x, hidden, name=f"{place}.pw")
        return layers.conv(b, x, channels, 1, name="2")


def detect(b: GraphBuilder, levels: tuple[Tensor, ...], classes: int, *, light: bool = False, extra: int = 0) -> Tensor:
    """(batch, 4 + classes + extra, anchors): boxes in pixels, class probabilities, coefficients of masks or points.

    ``light`` classifies with depthwise convolutions.
    """
    batch, first = levels[0].shape[:2]
    box_width = max(16, first // 4, 4 * BINS)
    class_width = max(first, min(classes, 100))
    found, more = [], []
    for place, x in enumerate(levels):
        boxes = _branch(b, x, box_width, 4 * BINS, f"cv2.{place}")
        scores = (_light_branch if light else _branch)(b, x, class_width, classes, f"cv3.{place}")
        joint = b.add(Concat(1), boxes, scores)
        found.append(b.add(Reshape((batch, 4 * BINS + classes, -1)), joint))
        if extra:
            y = _branch(b, x, max(first // 4, extra), extra, f"cv4.{place}")
            more.append(b.add(Reshape((batch, extra, -1)), y))
    boxes, scores = b.add_all(Split(1, (4 * BINS, classes)), b.add(Concat(2), *found))
    parts = [decoded(b, boxes), layers.activation(b, scores, "sigmoid")]
    return b.add(Concat(1), *parts, *([b.add(Concat(2), *more)] if more else []))


def decoded(b: GraphBuilder, boxes: Tensor) -> Tensor:
    """Expected distances to the four sides turned into centre, width and height."""
    batch, _, anchors = boxes.shape
    x = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((batch, 4, BINS, anchors)), boxes))
    x = layers.conv(b, b.add(Softmax(1), x), 1, 1, bias=False, name="dfl")
    x = b.add(Reshape((batch, 4, anchors)), x)
    points, strides = b.state("anchors", (1, 2, anchors)), b.state("strides", (1, 1, anchors))
    low = b.add(Sub(), points, b.add(Slice(1, 0, 2), x))
    high = b.add(Add(), points, b.add(Slice(1, 2, 4), x))
    centre = b.add(Div(scalar=2.0), b.add(Add(), low, high))
    return b.add(Mul(), b.add(Concat(1), centre, b.add(Sub(), high, low)), strides)


def prototypes(b: GraphBuilder, x: Tensor, hidden: int, masks: int = 32, *, learned: bool = True) -> Tensor:
    """(batch, masks, 2 height, 2 width): masks that coefficients mix (Bolya et al. 2019, YOLACT, section 3.1)."""
    with b.scope("proto"):
        x = conv(b, x, hidden, 3, name="cv1")
        if learned:
            with b.scope("upsample"):
                weight, bias = b.weight("weight", (hidden, hidden, 2, 2)), b.weight("bias", (hidden,))
            x = b.add(ConvTranspose2d(stride=(2, 2)), x, weight, bias, name="upsample")
        else:
            x = up(b, x)
        return conv(b, conv(b, x, hidden, 3, name="cv2"), masks, name="cv3")
