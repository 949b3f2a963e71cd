"""MobileViTs (Mehta and Rastegari 2022, MobileViT; 2023, version 2) by the names of timm."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "MobileViT"]

_DEPTHS = (2, 4, 3)
"""Transformer layers of the last three stages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileViT:
    """Channels of five stages and of the stem, and how much wider inverted residuals are inside.

    ``inner``: features of the transformers in the last three stages. ``second``: linear attention, of half the
    channels. ``features``: width of a last 1x1 convolution. ``gated``: squeeze-and-excite in inverted residuals.
    """

    widths: tuple[int, int, int, int, int]
    stem: int = 16
    inner: tuple[int, int, int] = (0, 0, 0)
    ratio: int = 4
    middle: int = 3
    features: int = 0
    act: str = "silu"
    second: bool = False
    gated: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, self.stem, 3, stride=2, act=self.act, name="stem")
        for stage, width in enumerate(self.widths):
            for place in range(self.middle if stage == 1 else 1):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._inverted(b, x, width, 1 if stage == 0 or place else 2)
            if stage > 1:
                with b.scope(f"stage{stage}.patches"):
                    depth = _DEPTHS[stage - 2]
                    x = self._linear(b, x, depth) if self.second else self._attended(b, x, self.inner[stage - 2], depth)
        if self.features:
            x = layers.conv_bn_act(b, x, self.features, 1, act=self.act, name="features")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _inverted(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        inner = layers.divisible(x.shape[1] * self.ratio)
        y = layers.conv_bn_act(b, x, inner, 1, act=self.act, name="expand")
        y = layers.conv_bn_act(b, y, inner, 3, stride=stride, groups=inner, act=self.act, name="depthwise")
        y = image_layers.channel_gate(b, y, 1 / 8) if self.gated else y
        y = layers.conv_bn_act(b, y, width, 1, act="", name="project")
        return layers.add(b, y, x) if y.shape == x.shape else y

    def _attended(self, b: GraphBuilder, x: Tensor, width: int, depth: int) -> Tensor:
        """Attention among the pixels at one place of all 2 x 2 patches (Mehta and Rastegari 2022, section 3.1)."""
        shortcut, channels = x, x.shape[1]
        x = layers.conv_bn_act(b, x, channels, 3, act=self.act, name="local")
        x = layers.conv(b, x, width, 1, bias=False, name="widen")
        batch, _, height, across = x.shape
        down, right = math.ceil(height / 2), math.ceil(across / 2)
        x = resized(b, x, (2 * down, 2 * right))
        x = b.add(Reshape((batch * width * down, 2, right, 2)), x)
        x = b.add(Reshape((batch, width, down * right, 4)), b.add(Transpose((0, 2, 1, 3)), x, name="patches"))
        x = b.add(Reshape((4 * batch, down * right, width)), b.add(Transpose((0, 3, 2, 1)), x, name="unfold"))
        for place in range(depth):
            with b.scope(f"layer{place}"):
                x = layers.add(b, x, layers.attention(b, layers.layer_norm(b, x, name="norm1"), 4, packed=True))
                y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 2 * width, act=self.act)
                x = layers.add(b, x, y, name="add2")
        x = layers.layer_norm(b, x, name="norm")
        x = b.add(Transpose((0, 3, 2, 1)), b.add(Reshape((batch, 4, down * right, width)), x), name="fold")
        x = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((batch * width * down, right, 2, 2)), x), name="rows")
        x = resized(b, b.add(Reshape((batch, width, 2 * down, 2 * right)), x), (height, across), name="resize_back")
        x = layers.conv_bn_act(b, x, channels, 1, act=self.act, name="narrow")
        return layers.conv_bn_act(b, b.add(Concat(1), shortcut, x), channels, 3, act=self.act, name="fusion")

    def _linear(self, b: GraphBuilder, x: Tensor, depth: int) -> Tensor:
        """Attention by one weight for each pixel (Mehta and Rastegari 2023, section 3)."""
        channels = x.shape[1]
        width = layers.divisible(channels / 2)
        batch, _, height, across = x.shape
        x = resized(b, x, (2 * math.ceil(height / 2), 2 * math.ceil(across / 2)))
        down, right = x.shape[2] // 2, x.shape[3] // 2
        x = layers.conv_bn_act(b, x, channels, 3, groups=channels, act=self.act, name="local")
        x = layers.conv(b, x, width, 1, bias=False, name="narrow")
        x = b.add(Reshape((batch, width, down, 2, right, 2)), x)
        x = b.add(Reshape((batch, width, 4, down * right)), b.add(Transpose((0, 1, 3, 5, 2, 4)), x, name="unfold"))
        for place in range(depth):
            with b.scope(f"layer{place}"):
                x = layers.add(b, x, self._weighed(b, layers.group_norm(b, x, 1, name="norm1")))
                y = layers.conv(b, layers.group_norm(b, x, 1, name="norm2"), 2 * width, 1, name="up")
                y = layers.conv(b, layers.activation(b, y, self.act), width, 1, name="down")
                x = layers.add(b, x, y, name="add2")
        x = b.add(Reshape((batch, width, 2, 2, down, right)), layers.group_norm(b, x, 1, name="norm"))
        x = b.add(Transpose((0, 1, 4, 2, 5, 3)), x, name="fold")
        x = b.add(Reshape((batch, width, 2 * down, 2 * right)), x)
        return layers.conv_bn_act(b, x, channels, 1, act="", name="widen")

    def _weighed(self, b: GraphBuilder, x: Tensor) -> Tensor:
        width = x.shape[1]
        with b.scope("attention"):
            joint = layers.conv(b, x, 1 + 2 * width, 1, name="qkv")
            q, k, v = b.add_all(Split(1, (1, width, width)), joint)
            context = layers.multiply(b, k, b.add(Softmax(), q), name="weighed")
            context = b.add(ReduceAxes("sum", (3,), True), context)
            y = layers.multiply(b, layers.activation(b, v, "relu"), context, name="read")
            return layers.conv(b, y, width, 1, name="out")


_S = MobileViT(widths=(32, 64, 96, 128, 160), inner=(144, 192, 240), features=640)
_NETWORKS: Mapping[str, MobileViT] = MappingProxyType(
    {
        "mobilevit_xxs": MobileViT(widths=(16, 24, 48, 64, 80), inner=(64, 80, 96), ratio=2, features=320),
        "mobilevit_xs": MobileViT(widths=(32, 48, 64, 80, 96), inner=(96, 120, 144), features=384),
        "mobilevit_s": _S,
        "semobilevit_s": MobileViT(widths=_S.widths, inner=_S.inner, features=640, act="relu", gated=True),
    }
)


def _find(name: str) -> Sized | None:
    if name in _NETWORKS:
        return Sized(_NETWORKS[name], 256)
    found = re.match(r"mobilevitv2_(\d{3})$", name)
    if found is None:
        return None
    scale = int(found[1]) / 100
    first, second, third, fourth, fifth = (int(base * scale) for base in (64, 128, 256, 384, 512))
    network = MobileViT(
        widths=(first, second, third, fourth, fifth), stem=int(32 * scale), ratio=2, middle=2, second=True
    )
    return Sized(network, 256)


FAMILIES = (
    ImageFamily(
        name="mobilevit",
        title="convolution and attention for phones",
        source="Mehta and Rastegari 2022, MobileViT; Mehta and Rastegari 2023, Separable Self-attention",
        examples=("mobilevit_s", "mobilevitv2_175", "mobilevitv2_050"),
        find=_find,
    ),
)
