"""ResNets with other 3x3 convolutions by the names of timm: Res2Net, ResNeSt, selective kernels."""

from __future__ import annotations

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
from hwsim.workloads import layers
from hwsim.workloads.backbones import dilated_conv
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.image_layers import rounded
from hwsim.workloads.resnet import ResNet

__all__ = ["FAMILIES", "FirstGated", "Res2Net", "ResNeSt", "SelectiveKernels"]


@dataclass(frozen=True, slots=True)
class Res2Net(ResNet):
    """Parts of the channels one after the other, each reading the one before (Gao et al. 2019, Res2Net, Fig. 2b)."""

    parts: int = 4

    def _bottleneck(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        inner = width * self.group_width // 64 * self.groups
        first = x.shape[1] != 4 * width
        y = self._conv(b, x, inner * self.parts, 1, name="conv1")
        pieces = b.add_all(Split(1, (inner,) * self.parts), y)
        made: list[Tensor] = []
        for place in range(self.parts - 1):
            read = pieces[place] if first or not made else layers.add(b, made[-1], pieces[place], name=f"sum{place}")
            made.append(self._conv(b, read, inner, 3, stride=stride, groups=self.groups, name=f"conv2.{place}"))
        last = pieces[-1]
        made.append(layers.pool(b, last, "average", 3, stride=stride, padding=1, name="pool2") if first else last)
        return self._conv(b, b.add(Concat(1), *made), 4 * width, 1, act="", name="conv3")


@dataclass(frozen=True, slots=True)
class ResNeSt(ResNet):
    """``radix`` splits of each group weighed against each other (Zhang et al. 2020, ResNeSt, Fig. 2).

    Strides are averages behind the convolution, or in front of it if ``early``.
    """

    radix: int = 2
    early: bool = False

    def _bottleneck(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        inner = width * self.group_width // 64 * self.groups
        first = x.shape[1] != 4 * width
        y = self._conv(b, x, inner, 1, name="conv1")
        if first and self.early:
            y = layers.pool(b, y, "average", 3, stride=stride, padding=1, name="pool2")
        y = self._split(b, y, inner)
        if first and not self.early:
            y = layers.pool(b, y, "average", 3, stride=stride, padding=1, name="pool2")
        return self._conv(b, y, 4 * width, 1, act="", name="conv3")

    def _split(self, b: GraphBuilder, x: Tensor, width: int) -> Tensor:
        batch, _, height, across = x.shape
        radix, groups = self.radix, self.groups
        y = self._conv(b, x, width * radix, 3, groups=groups * radix, name="conv2")
        parts = b.add(Reshape((batch, radix, width, height, across)), y)
        gap = b.add(ReduceAxes("sum", (1,)), parts) if radix > 1 else y
        gap = b.add(Reshape((batch, width, 1, 1)), layers.global_average(b, gap))
        squeezed = max(rounded(width * radix * 0.25), 32)
        gap = layers.conv(b, gap, squeezed, 1, groups=groups, name="fc1")
        gap = layers.activation(b, layers.batch_norm(b, gap, name="fc1_bn"), "relu")
        shares = layers.conv(b, gap, width * radix, 1, groups=groups, name="fc2")
        if radix == 1:
            return layers.multiply(b, y, layers.activation(b, shares, "sigmoid"), name="weighed")
        shares = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((batch, groups, radix, -1)), shares))
        shares = b.add(Reshape((batch, radix, width, 1, 1)), b.add(Softmax(axis=1), shares))
        return b.add(ReduceAxes("sum", (1,)), layers.multiply(b, parts, shares, name="weighed"))


@dataclass(frozen=True, slots=True)
class SelectiveKernels(ResNet):
    """3x3 and dilated 3x3 side by side, weighed (Li et al. 2019, Selective Kernel Networks, Fig. 1).

    Each reads half of the channels unless ``whole``; ``divisor`` rounds the squeezed width, a ``share`` of the whole.
    """

    whole: bool = False
    share: float = 1 / 16
    divisor: int = 8

    def _basic(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        return self._conv(b, self._selected(b, x, width, stride), width, 3, act="", name="conv2")

    def _bottleneck(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        inner = width * self.group_width // 64 * self.groups
        y = self._selected(b, self._conv(b, x, inner, 1, name="conv1"), inner, stride)
        return self._conv(b, y, 4 * width, 1, act="", name="conv3")

    def _selected(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        half = x.shape[1] // 2
        read = (x, x) if self.whole else b.add_all(Split(1, (half, half)), x)
        groups = min(width, self.groups)
        paths = [
            dilated_conv(b, part, width, 3, stride=stride, dilation=d, groups=groups, name=f"path{d}")
            for part, d in zip(read, (1, 2), strict=True)
        ]
        batch, _, height, across = paths[0].shape
        stacked = b.add(Reshape((batch, 2, width, height, across)), b.add(Concat(1), *paths, name="stack"))
        y = layers.global_average(b, b.add(ReduceAxes("sum", (1,)), stacked))
        y = b.add(Reshape((batch, width, 1, 1)), y)
        y = layers.conv_bn_act(b, y, rounded(width * self.share, divisor=self.divisor), 1, name="reduce")
        y = layers.conv(b, y, 2 * width, 1, bias=False, name="select")
        shares = b.add(Softmax(axis=1), b.add(Reshape((batch, 2, width, 1, 1)), y))
        return b.add(ReduceAxes("sum", (1,)), layers.multiply(b, stacked, shares, name="weighed"))


@dataclass(frozen=True, slots=True)
class FirstGated(ResNet):
    """The first ResNets with gates: strides on the first 1x1 convolution, pools that start at the border.

    (Hu et al. 2018, Squeeze-and-Excitation Networks, as its authors published them.)
    """

    def _stem(self, b: GraphBuilder, image: Tensor) -> Tensor:
        x = self._conv(b, image, 64, 7, stride=2, name="stem")
        return layers.pool(b, x, "max", 3, stride=2, ceil=True, name="maxpool")

    def _basic(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        return self._conv(b, self._conv(b, x, width, 3, stride=stride, name="conv1"), width, 3, name="conv2")

    def _bottleneck(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        inner = width * self.group_width // 64 * self.groups
        early = stride if self.groups == 1 else 1
        y = self._conv(b, x, inner, 1, stride=early, name="conv1")
        y = self._conv(b, y, inner, 3, stride=stride // early, groups=self.groups, name="conv2")
        return self._conv(b, y, 4 * width, 1, act="", name="conv3")


_18, _50, _101 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 23, 3)
_DEEP, _DEEPER = (32, 32, 64), (64, 64, 128)
_NEST: Mapping[str, ResNeSt] = MappingProxyType(
    {
        "resnest14d": ResNeSt((1, 1, 1, 1), stem=_DEEP, average_down=True),
        "resnest26d": ResNeSt(_18, stem=_DEEP, average_down=True),
        "resnest50d": ResNeSt(_50, stem=_DEEP, average_down=True),
        "resnest101e": ResNeSt(_101, stem=_DEEPER, average_down=True),
        "resnest200e": ResNeSt((3, 24, 36, 3), stem=_DEEPER, average_down=True),
        "resnest269e": ResNeSt((3, 30, 48, 8), stem=_DEEPER, average_down=True),
        "resnest50d_4s2x40d": ResNeSt(_50, True, 2, 40, _DEEP, average_down=True, radix=4, early=True),
        "resnest50d_1s4x24d": ResNeSt(_50, True, 4, 24, _DEEP, average_down=True, radix=1, early=True),
    }
)
_NEST_SIZES: Mapping[str, int] = MappingProxyType({"resnest101e": 256, "resnest200e": 320, "resnest269e": 416})
_SK: Mapping[str, SelectiveKernels] = MappingProxyType(
    {
        "skresnet18": SelectiveKernels(_18, bottleneck=False, share=1 / 8, divisor=16),
        "skresnet34": SelectiveKernels(_50, bottleneck=False, share=1 / 8, divisor=16),
        "skresnet50": SelectiveKernels(_50),
        "skresnet50d": SelectiveKernels(_50, stem=_DEEP, average_down=True),
        "skresnext50_32x4d": SelectiveKernels(_50, True, 32, 4, whole=True, divisor=32),
    }
)


def _find(name: str) -> Sized | None:
    if name in _NEST:
        return Sized(_NEST[name], _NEST_SIZES.get(name, 224))
    if name in _SK:
        return Sized(_SK[name])
    found = re.match(r"legacy_seresne(x?)t(18|26|34|50|101|152)(_32x4d)?$", name)
    if found is not None and bool(found[1]) == bool(found[3]):
        depths = {"34": _50, "50": _50, "101": _101, "152": (3, 8, 36, 3)}.get(found[2], _18)
        groups = (32, 4) if found[1] else (1, 64)
        return Sized(FirstGated(depths, found[2] not in ("18", "34"), *groups, gate="se"))
    if name == "res2next50":
        return Sized(Res2Net(_50, True, 8, 4))
    found = re.match(r"res2net(50|101)(d|_(\d+)w_(\d)s)$", name)
    if found is None:
        return None
    depths = _50 if found[1] == "50" else _101
    if found[2] == "d":
        return Sized(Res2Net(depths, True, 1, 26, _DEEP, average_down=True))
    return Sized(Res2Net(depths, True, 1, int(found[3]), parts=int(found[4])))


FAMILIES = (
    ImageFamily(
        name="res2net, resnest, sknet",
        title="residual network of split convolutions",
        source="Gao et al. 2019, Res2Net; Zhang et al. 2020, ResNeSt; Li et al. 2019, Selective Kernel Networks",
        examples=("res2net50_26w_4s", "res2next50", "resnest50d", "resnest101e", "skresnet50", "legacy_seresnet50"),
        find=_find,
    ),
)
