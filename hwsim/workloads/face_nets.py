"""Networks that find or recognise faces: MobileFaceNet, the residual network of ArcFace, SCRFD, an ultra-light SSD.

Sources: Chen et al. 2018, MobileFaceNets, and Deng et al. 2019, ArcFace, both as deepinsight/insightface has them
(recognition/arcface_torch/backbones); Guo et al. 2021, Sample and Computation Redistribution for Efficient Face
Detection (detection/scrfd); Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB. Layers from memory, checked by their
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.prelu import PRelu
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []

_ZOO = "hailo_model_zoo, public models"


def _prelu(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """A slope of its own for each channel."""
    with b.scope(name):
        slope = b.weight("slope", (x.shape[1], 1, 1))
    return b.add(PRelu(), x, slope, name=name)


def _block(
    b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, name: str
) -> Tensor:
    x = layers.conv_bn_act(b, x, channels, kernel, stride=stride, groups=groups, act="", name=name)
    return _prelu(b, x, f"{name}_prelu")


def _separated(b: GraphBuilder, x: Tensor, hidden: int, channels: int, stride: int, name: str) -> Tensor:
    """MobileNetV2's block with PReLU; a residual where the size stays."""
    with b.scope(name):
        y = _block(b, x, hidden, 1, name="expand")
        y = _block(b, y, hidden, 3, stride=stride, groups=hidden, name="depthwise")
        y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
        return layers.add(b, y, x) if stride == 1 else y


_WIDE = ((128, 128, 1, 2), (128, 128, 4, 1), (256, 256, 1, 2), (256, 256, 6, 1), (512, 256, 1, 2), (256, 256, 2, 1))
"""Hidden channels, channels, blocks, stride: twice the widths of Table 1 (``scale=2``)."""


def _mobilefacenet(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 512): an embedding."""
    x = _block(b, image, 128, 3, stride=2, name="stem")
    x = _block(b, x, 128, 3, groups=128, name="stem_depthwise")
    for stage, (hidden, channels, count, stride) in enumerate(_WIDE):
        for place in range(count):
            x = _separated(b, x, hidden, channels, stride, f"stage{stage}.{place}")
    x = _block(b, x, 512, 1, name="last")
    x = layers.conv_bn_act(b, x, 512, x.shape[2], padding=0, groups=512, act="", name="spread")
    return layers.linear(b, layers.flatten(b, x), 512, bias=False, name="embedding")


def _iresnet50(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 512): an embedding; each block normalises before its first convolution."""
    x = _block(b, image, 64, 3, name="stem")
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (14, 256), (3, 512))):
        for place in range(count):
            with b.scope(f"layer{stage + 1}.{place}"):
                stride = 2 if place == 0 else 1
                y = _block(b, layers.batch_norm(b, x, "bn1"), width, 3, name="conv1")
                y = layers.conv_bn_act(b, y, width, 3, stride=stride, act="", name="conv2")
                if y.shape != x.shape:
                    x = layers.conv_bn_act(b, x, width, 1, stride=stride, act="", name="downsample")
                x = layers.add(b, y, x)
    x = layers.batch_norm(b, x, "bn2")
    return layers.linear(b, layers.flatten(b, x), 512, name="embedding")


@dataclass(frozen=True, slots=True)
class Scrfd:
    """Channels of stages and their blocks, of the stem, the neck and the heads; ``light``: depthwise convolutions."""

    widths: tuple[int, ...]
    counts: tuple[int, ...]
    stem: int
    neck: int
    head: int
    stacked: int
    light: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
        """Scores, boxes and five landmarks of two anchors a pixel at strides 8, 16 and 32."""
        levels = self._separable(b, image) if self.light else self._residual(b, image)
        found: list[Tensor] = []
        for place, level in enumerate(self._neck(b, levels)):
            with b.scope(f"head{place}"):
                y = level
                for step in range(self.stacked):
                    y = self._conv(b, y, self.head, f"conv{step}")
                found += [
                    layers.conv(b, y, 2 * outputs, 3, name=name)
                    for name, outputs in (("scores", 1), ("boxes", 4), ("points", 10))
                ]
        return tuple(found)

    def _conv(self, b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
        if self.light:
            x = layers.conv_bn_act(b, x, x.shape[1], 3, groups=x.shape[1], name=f"{name}_depthwise")
            return layers.conv_bn_act(b, x, channels, 1, name=name)
        return layers.conv_bn_act(b, x, channels, 3, name=name)

    def _separable(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """Stages of depthwise and pointwise convolutions, the first on half the image's size."""
        x = layers.conv_bn_act(b, image, self.widths[0], 3, stride=2, name="stem")
        found = []
        for stage, (count, width) in enumerate(zip((1, *self.counts), self.widths[1:], strict=True)):
            for place in range(count):
                with b.scope(f"stage{stage}.{place}"):
                    stride = 2 if place == 0 and stage > 0 else 1
                    x = layers.conv_bn_act(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], name="depthwise")
                    x = layers.conv_bn_act(b, x, width, 1, name="pointwise")
            found.append(x)
        return found[2:]

    def _residual(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """Basic blocks after a stem of three convolutions; shortcuts average before they change channels."""
        x = image
        for place, (width, stride) in enumerate(((self.stem // 2, 2), (self.stem // 2, 1), (self.stem, 1))):
            x = layers.conv_bn_act(b, x, width, 3, stride=stride, name=f"stem{place}")
        x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
        found = []
        for stage, (count, width) in enumerate(zip(self.counts, self.widths, strict=True)):
            for place in range(count):
                with b.scope(f"layer{stage + 1}.{place}"):
                    stride = 2 if place == 0 and stage > 0 else 1
                    y = layers.conv_bn_act(b, x, width, 3, stride=stride, name="conv1")
                    y = layers.conv_bn_act(b, y, width, 3, act="", name="conv2")
                    if stride > 1:
                        x = layers.pool(b, x, "average", 2, ceil=True, name="halve")
                    if x.shape != y.shape:
                        x = layers.conv_bn_act(b, x, width, 1, act="", name="downsample")
                    x = layers.activation(b, layers.add(b, y, x), "relu")
            found.append(x)
        return found[1:]

    def _neck(self, b: GraphBuilder, levels: Sequence[Tensor]) -> list[Tensor]:
        """Coarse features added to finer ones, then back (Liu et al. 2018, PANet)."""
        side = [layers.conv(b, x, self.neck, 1, name=f"lateral{place}") for place, x in enumerate(levels)]
        for place in (1, 0):
            coarse = resized(b, side[place + 1], side[place].shape, mode="nearest", name=f"up{place}")
            side[place] = layers.add(b, side[place], coarse)
        made = [layers.conv(b, x, self.neck, 3, name=f"fpn{place}") for place, x in enumerate(side)]
        for place in (1, 2):
            back = layers.conv(b, made[place - 1], self.neck, 3, stride=2, name=f"down{place}")
            made[place] = layers.add(b, made[place], back)
        return [made[0], *(layers.conv(b, x, self.neck, 3, name=f"pafpn{place}") for place, x in enumerate(made[1:]))]


_SLIM = (
    (32, 1),
    (32, 2),
    (32, 1),
    (64, 2),
    (64, 1),
    (64, 1),
    (64, 1),
    (128, 2),
    (128, 1),
    (128, 1),
    (256, 2),
    (256, 1),
)


def _lightface(b: GraphBuilder, image: Tensor) -> tuple[Tensor, ...]:
    """Scores and boxes of two or three anchors a pixel at strides 8, 16, 32 and 64."""
    x = layers.conv_bn_act(b, image, 16, 3, stride=2, name="stem")
    levels = []
    for place, (channels, stride) in enumerate(_SLIM):
        if place in (7, 10):
            levels.append(x)
        with b.scope(f"block{place}"):
            x = layers.conv_bn_act(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], name="depthwise")
            x = layers.conv_bn_act(b, x, channels, 1, name="pointwise")
    levels.append(x)
    y = layers.activation(b, layers.conv(b, x, 64, 1, name="extra"), "relu")
    y = layers.activation(b, layers.conv(b, y, 64, 3, stride=2, groups=64, name="extra_depthwise"), "relu")
    levels.append(layers.activation(b, layers.conv(b, y, 256, 1, name="extra_pointwise"), "relu"))
    found = []
    for place, (x, anchors) in enumerate(zip(levels, (3, 2, 2, 3), strict=True)):
        for name, outputs in (("boxes", 4), ("scores", 2)):
            with b.scope(f"{name}{place}"):
                if place < 3:
                    y = layers.conv(b, x, x.shape[1], 3, groups=x.shape[1], name="depthwise")
                    y = layers.conv(b, layers.activation(b, y, "relu"), anchors * outputs, 1, name="pointwise")
                else:
                    y = layers.conv(b, x, anchors * outputs, 3, name="conv")
                found.append(y)
    return tuple(found)


for _name, _title, _network, _what, _size, _parameters, _gmacs, _tolerance in (
    ("mobilefacenet", "MobileFaceNet", _mobilefacenet, "Embeds faces.", 112, 2.04e6, 0.44, 0.03),
    ("iresnet50", "ArcFace's ResNet-50", _iresnet50, "Embeds faces.", 112, 43.59e6, 6.3, 0.02),
    (
        *("scrfd_500m", "SCRFD-500M", Scrfd((16, 16, 40, 72, 152, 288), (2, 3, 2, 6), 16, 16, 64, 2, True)),
        *("Detector of faces and five landmarks.", 640, 0.63e6, 0.75, 0.05),
    ),
    (
        *("scrfd_2_5g", "SCRFD-2.5G", Scrfd((24, 48, 48, 80), (3, 5, 3, 2), 24, 24, 64, 2)),
        *("Detector of faces and five landmarks.", 640, 0.82e6, 3.44, 0.05),
    ),
    (
        *("scrfd_10g", "SCRFD-10G", Scrfd((56, 88, 88, 224), (3, 4, 2, 3), 56, 56, 80, 3)),
        *("Detector of faces and five landmarks.", 640, 4.23e6, 13.37, 0.05),
    ),
    (
        "lightface_slim",
        "Ultra-light face detector, slim",
        _lightface,
        "Detector of faces.",
        (240, 320),
        0.26e6,
        0.08,
        0.1,
    ),
):
    image_filter(
        _name,
        _network,
        title=_title,
        source=sources(__doc__, before="Layers"),
        published=Published(parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=_tolerance, source=_ZOO),
        what=_what,
        size=_size,
    )
