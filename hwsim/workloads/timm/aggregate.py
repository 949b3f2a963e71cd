"""HGNets and VoVNets, whose blocks join what all their layers made, by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "HGNet", "VoVNet"]

_CORNER = ((0, 0), (0, 0), (0, 1), (0, 1))


@dataclass(frozen=True, slots=True)
class HGNet:
    """Stages of (inner width, width, blocks, whether layers are light, kernel), ``layers`` in each block.

    ``stem``: its channels; ``second``: the second version's stem, and blocks that squeeze before they widen.
    ``affine``: a learned factor and shift behind each activation, in kernels of their own.
    """

    stem: tuple[int, ...]
    stages: tuple[tuple[int, int, int, bool, int], ...]
    layers: int
    second: bool = False
    affine: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._stem(b, image)
        for stage, (inner, width, blocks, light, kernel) in enumerate(self.stages):
            with b.scope(f"stage{stage}"):
                if stage:
                    x = self._conv(b, x, x.shape[1], 3, stride=2, groups=x.shape[1], act="", name="down")
                for place in range(blocks):
                    with b.scope(f"block{place}"):
                        y = self._block(b, x, inner, width, kernel, light=light)
                        x = layers.add(b, y, x) if place else y
        y = b.add(Reshape((x.shape[0], x.shape[1], 1, 1)), layers.global_average(b, x))
        y = self._affine(b, layers.activation(b, layers.conv(b, y, 2048, 1, bias=False, name="last"), "relu"), "last")
        return layers.linear(b, layers.flatten(b, y), classes, name="head")

    def _stem(self, b: GraphBuilder, x: Tensor) -> Tensor:
        if not self.second:
            for place, channels in enumerate(self.stem):
                x = self._conv(b, x, channels, 3, stride=1 if place else 2, name=f"stem{place}")
            return layers.pool(b, x, "max", 3, stride=2, padding=1, name="stem_pool")
        middle, last = self.stem
        x = self._conv(b, x, middle, 3, stride=2, name="stem1")
        x = b.add(Pad(_CORNER), x, name="pad1")
        y = self._conv(b, x, middle // 2, 2, padding=0, name="stem2a")
        y = self._conv(b, b.add(Pad(_CORNER), y, name="pad2"), middle, 2, padding=0, name="stem2b")
        x = b.add(Concat(1), layers.pool(b, x, "max", 2, stride=1, name="stem_pool"), y)
        return self._conv(b, self._conv(b, x, middle, 3, stride=2, name="stem3"), last, 1, name="stem4")

    def _block(self, b: GraphBuilder, x: Tensor, inner: int, width: int, kernel: int, *, light: bool) -> Tensor:
        made = [x]
        for place in range(self.layers):
            y = made[-1]
            if light:
                y = self._conv(b, y, inner, 1, act="", name=f"point{place}")
                y = self._conv(b, y, inner, kernel, groups=inner, name=f"depthwise{place}")
            else:
                y = self._conv(b, y, inner, kernel, name=f"conv{place}")
            made.append(y)
        y = b.add(Concat(1), *made)
        if self.second:
            return self._conv(b, self._conv(b, y, width // 2, 1, name="squeeze"), width, 1, name="widen")
        return image_layers.whole_gate(b, self._conv(b, y, width, 1, name="join"))

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        act: str = "relu",
        name: str,
    ) -> Tensor:
        x = layers.conv_bn_act(
            b, x, channels, kernel, stride=stride, padding=padding, groups=groups, act=act, name=name
        )
        return self._affine(b, x, name) if act else x

    def _affine(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        if not self.affine:
            return x
        x = layers.multiply(b, x, b.weight(f"{name}_factor", (1,)), name=f"{name}_scaled")
        return layers.add(b, x, b.weight(f"{name}_shift", (1,)), name=f"{name}_shifted")


@dataclass(frozen=True, slots=True, kw_only=True)
class VoVNet:
    """Blocks of each stage, inner and outer widths (Lee et al. 2019, VoVNet, Table 1).

    ``gate``: "whole", "eca" or none, in the last block of a stage; ``residual``: sums from the second block on;
    ``light``: depthwise layers; ``norm_group``: EvoNorm over so many channels.
    """

    blocks: tuple[int, int, int, int] = (1, 1, 2, 2)
    inner: tuple[int, int, int, int] = (128, 160, 192, 224)
    widths: tuple[int, int, int, int] = (256, 512, 768, 1024)
    layers: int = 5
    gate: str = "whole"
    residual: bool = True
    light: bool = False
    norm_group: int = 0

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._conv(b, image, 64, 3, stride=2, name="stem0")
        x = self._layer(b, x, 64, "stem1")
        x = self._layer(b, x, 64 if self.light else 128, "stem2", stride=2)
        for stage, (blocks, inner, width) in enumerate(zip(self.blocks, self.inner, self.widths, strict=True)):
            if stage:
                x = layers.pool(b, x, "max", 3, stride=2, ceil=True, name=f"down{stage}")
            for place in range(blocks):
                with b.scope(f"stage{stage}.{place}"):
                    y = self._block(b, x, inner, width, last=place == blocks - 1)
                    x = layers.add(b, y, x) if place and self.residual else y
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor, inner: int, width: int, *, last: bool) -> Tensor:
        made = [x]
        y = self._conv(b, x, inner, 1, name="reduce") if self.light and x.shape[1] != inner else x
        for place in range(self.layers):
            y = self._layer(b, y, inner, f"conv{place}")
            made.append(y)
        y = self._conv(b, b.add(Concat(1), *made), width, 1, name="join")
        if not last or not self.gate:
            return y
        return image_layers.efficient_gate(b, y) if self.gate == "eca" else image_layers.whole_gate(b, y, "hardsigmoid")

    def _layer(self, b: GraphBuilder, x: Tensor, channels: int, name: str, stride: int = 1) -> Tensor:
        if not self.light:
            return self._conv(b, x, channels, 3, stride=stride, name=name)
        x = layers.conv(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], bias=False, name=f"{name}_depthwise")
        return self._conv(b, x, channels, 1, name=name)

    def _conv(self, b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, name: str) -> Tensor:
        if not self.norm_group:
            return layers.conv_bn_act(b, x, channels, kernel, stride=stride, name=name)
        x = layers.conv(b, x, channels, kernel, stride=stride, bias=False, name=name)
        return image_layers.evo_norm(b, x, self.norm_group, name=f"{name}_norm")


def _second(stem: tuple[int, int], rows: tuple[tuple[int, int, int], ...], count: int) -> HGNet:
    """The second version: the last two stages have light layers of 5x5."""
    stages = tuple((*row, place > 1, 5 if place > 1 else 3) for place, row in enumerate(rows))
    return HGNet(stem, stages, count, second=True, affine=stem[0] <= 24)


def _first(stem: tuple[int, int, int], rows: tuple[tuple[int, int, int], ...], count: int) -> HGNet:
    return HGNet(stem, tuple((*row, False, 3) for row in rows), count)


_HG: Mapping[str, HGNet] = MappingProxyType(
    {
        "hgnet_tiny": _first((48, 48, 96), ((96, 224, 1), (128, 448, 1), (160, 512, 2), (192, 768, 1)), 5),
        "hgnet_small": _first((64, 64, 128), ((128, 256, 1), (160, 512, 1), (192, 768, 2), (224, 1024, 1)), 6),
        "hgnet_base": _first((96, 96, 160), ((192, 320, 1), (224, 640, 2), (256, 960, 3), (288, 1280, 2)), 7),
        "hgnetv2_b0": _second((16, 16), ((16, 64, 1), (32, 256, 1), (64, 512, 2), (128, 1024, 1)), 3),
        "hgnetv2_b1": _second((24, 32), ((32, 64, 1), (48, 256, 1), (96, 512, 2), (192, 1024, 1)), 3),
        "hgnetv2_b2": _second((24, 32), ((32, 96, 1), (64, 384, 1), (128, 768, 3), (256, 1536, 1)), 4),
        "hgnetv2_b3": _second((24, 32), ((32, 128, 1), (64, 512, 1), (128, 1024, 3), (256, 2048, 1)), 5),
        "hgnetv2_b4": _second((32, 48), ((48, 128, 1), (96, 512, 1), (192, 1024, 3), (384, 2048, 1)), 6),
        "hgnetv2_b5": _second((32, 64), ((64, 128, 1), (128, 512, 2), (256, 1024, 5), (512, 2048, 2)), 6),
        "hgnetv2_b6": _second((48, 96), ((96, 192, 2), (192, 512, 3), (384, 1024, 6), (768, 2048, 3)), 6),
    }
)
_SLIM = VoVNet(blocks=(1, 1, 1, 1), inner=(64, 80, 96, 112), widths=(112, 256, 384, 512), layers=3)
_PLAIN = VoVNet(gate="", residual=False)
_VOV: Mapping[str, VoVNet] = MappingProxyType(
    {
        "vovnet39a": _PLAIN,
        "vovnet57a": replace(_PLAIN, blocks=(1, 1, 4, 3)),
        "ese_vovnet19b_slim_dw": replace(_SLIM, light=True),
        "ese_vovnet19b_dw": VoVNet(blocks=(1, 1, 1, 1), layers=3, light=True),
        "ese_vovnet19b_slim": _SLIM,
        "ese_vovnet19b": VoVNet(blocks=(1, 1, 1, 1), layers=3),
        "ese_vovnet39b": VoVNet(),
        "ese_vovnet57b": VoVNet(blocks=(1, 1, 4, 3)),
        "ese_vovnet99b": VoVNet(blocks=(1, 3, 9, 3)),
        "eca_vovnet39b": VoVNet(gate="eca"),
        "ese_vovnet39b_evos": VoVNet(norm_group=16),
    }
)


def _find_hg(name: str) -> Sized | None:
    return Sized(_HG[name]) if name in _HG else None


def _find_vov(name: str) -> Sized | None:
    return Sized(_VOV[name]) if name in _VOV else None


FAMILIES = (
    ImageFamily(
        name="hgnet",
        title="joined layers",
        source="PaddleClas, PP-HGNet and PP-HGNetV2; Zhao et al. 2024, DETRs Beat YOLOs on Real-time Object Detection",
        examples=tuple(_HG),
        find=_find_hg,
    ),
    ImageFamily(
        name="vovnet",
        title="joined layers",
        source="Lee et al. 2019, An Energy and GPU-Computation Efficient Backbone; Lee and Park 2020, CenterMask",
        examples=tuple(_VOV),
        find=_find_vov,
    ),
)
