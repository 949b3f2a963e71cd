"""Residual networks that normalise first, or not at all, by the names of timm: ResNetV2 and BiT, NFNets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.cast import Cast
from hwsim.operators.extreme import Extreme
from hwsim.operators.pad import Pad
from hwsim.operators.pow import Pow
from hwsim.operators.reduce import ReduceAxes
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "NormFree", "PreActivated", "standard_features"]

_WIDE = (256, 512, 1024, 2048)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreActivated:
    """Blocks of each stage (He et al. 2016, Identity Mappings in Deep Residual Networks, Fig. 4e).

    ``norm``: "batch", "group", "evo" or "response". ``standard``: weights are standardised. ``stem``: channels of its
    3x3 convolutions (none: one of 7x7). ``padded``: the border of the first pool is a copy of its own (BiT).
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int] = _WIDE
    basic: bool = False
    factor: int = 1
    stem: tuple[int, ...] = ()
    average_down: bool = False
    norm: str = "batch"
    standard: bool = False
    padded: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._stem(b, image)
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x, width * self.factor, 2 if stage and place == 0 else 1, first=place == 0)
        y = layers.global_average(b, self._norm(b, x, "norm"))
        return layers.linear(b, y, classes, name="head")

    def _stem(self, b: GraphBuilder, x: Tensor) -> Tensor:
        for place, channels in enumerate(self.stem):
            x = self._norm(b, x, f"stem_norm{place}") if place else x
            x = self._conv(b, x, channels, 3, stride=1 if place else 2, name=f"stem{place}")
        x = x if self.stem else self._conv(b, x, 64 * self.factor, 7, stride=2, name="stem")
        if self.padded:
            x = b.add(Pad(((0, 0), (0, 0), (1, 1), (1, 1))), x, name="stem_pad")
        return layers.pool(b, x, "max", 3, stride=2, padding=0 if self.padded else 1, name="stem_pool")

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int, *, first: bool) -> Tensor:
        y = self._norm(b, x, "norm1")
        shortcut = x
        if first and (not self.basic or stride > 1 or x.shape[1] != width):
            pooled = self.average_down and stride > 1
            shortcut = layers.pool(b, y, "average", 2, ceil=True, name="downsample_pool") if pooled else y
            shortcut = self._conv(b, shortcut, width, 1, stride=1 if pooled else stride, name="downsample")
        if self.basic:
            y = self._norm(b, self._conv(b, y, width, 3, stride=stride, name="conv1"), "norm2")
            return layers.add(b, self._conv(b, y, width, 3, name="conv2"), shortcut)
        y = self._norm(b, self._conv(b, y, width // 4, 1, name="conv1"), "norm2")
        y = self._norm(b, self._conv(b, y, width // 4, 3, stride=stride, name="conv2"), "norm3")
        return layers.add(b, self._conv(b, y, width, 1, name="conv3"), shortcut)

    def _conv(self, b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, name: str) -> Tensor:
        if self.standard:
            return image_layers.standard_conv(b, x, channels, kernel, stride=stride, name=name)
        return layers.conv(b, x, channels, kernel, stride=stride, bias=False, name=name)

    def _norm(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        """Normalised and activated."""
        channels = x.shape[1]
        if self.norm == "evo":
            return image_layers.evo_norm(b, x, channels // 32, name=name)
        if self.norm == "response":
            return _filter_response(b, x, name)
        y = layers.group_norm(b, x, 32, name=name) if self.norm == "group" else layers.batch_norm(b, x, name=name)
        return layers.activation(b, y, "relu")


def standard_features(b: GraphBuilder, image: Tensor, depths: tuple[int, ...]) -> Tensor:
    """Features of a ResNet with group norms and standardised weights, padded as in TensorFlow (BiT's for hybrids)."""

    def conv(x: Tensor, channels: int, kernel: int, stride: int, act: str, name: str) -> Tensor:
        padding = None
        if stride > 1 and kernel > 1:
            x, padding = image_layers.same_padding(b, x, kernel, stride, name), 0
        x = image_layers.standard_conv(b, x, channels, kernel, stride=stride, padding=padding, name=name)
        return layers.activation(b, layers.group_norm(b, x, 32, name=f"{name}_norm"), act)

    x = conv(image, 64, 7, 2, "relu", "stem")
    x = layers.pool(b, image_layers.same_padding(b, x, 3, 2, "stem_pool"), "max", 3, stride=2, name="stem_pool")
    for stage, depth in enumerate(depths):
        width = _WIDE[stage]
        for place in range(depth):
            stride = 2 if stage and place == 0 else 1
            with b.scope(f"stage{stage}.{place}"):
                shortcut = x if place else conv(x, width, 1, stride, "", "downsample")
                y = conv(conv(x, width // 4, 1, 1, "relu", "conv1"), width // 4, 3, stride, "relu", "conv2")
                y = conv(y, width, 1, 1, "", "conv3")
                x = layers.activation(b, layers.add(b, y, shortcut), "relu")
    return x


def _filter_response(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """X over its root mean square over the image, scaled, at least tau (Singh and Krishnan 2020, equations 1 to 5)."""
    shape = (x.shape[1], 1, 1)
    with b.scope(name):
        inverse = b.add(Pow(-0.5), b.add(ReduceAxes("mean", (2, 3), True), b.add(Pow(2.0), x)))
        y = layers.multiply(b, x, b.add(Cast(), inverse), name="scaled")
        y = layers.multiply(b, y, b.add(Cast(), b.weight("gamma", shape)), name="gamma_scale")
        y = layers.add(b, y, b.add(Cast(), b.weight("beta", shape)), name="shifted")
        return b.add(Extreme(mode="max"), y, b.add(Cast(), b.weight("tau", shape)), name="threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class NormFree:
    """Blocks without normalisation, with scaled standardised weights (Brock et al. 2021, NFNets, section 4).

    ``ratio``: inner width over the outer one, or over what a block reads if ``inward``, in groups of ``group``
    channels. ``gate``: "se" with the share ``squeeze``, "eca" or none, inside the block if ``inward``. ``twice``: a
    second 3x3. ``features``: width of a last 1x1 convolution. ``stem``: channels of its 3x3 convolutions, or none for
    7x7 and a pool. ``published``: factors behind activations and a learned one before the sum, TensorFlow's padding.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int] = _WIDE
    ratio: float = 0.25
    inward: bool = False
    group: int = 0
    gate: str = ""
    squeeze: float = 1 / 16
    twice: bool = False
    features: int = 0
    stem: tuple[int, ...] = ()
    act: str = "relu"
    published: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._stem(b, image)
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            halves = stage > 0 or len(self.stem) == 1
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    ratio = 1.0 if self.inward and stage + place == 0 else self.ratio
                    x = self._block(b, x, width, 2 if halves and place == 0 else 1, ratio)
        x = self._conv(b, x, self.features, 1, name="features") if self.features else x
        return layers.linear(b, layers.global_average(b, self._act(b, x, "last")), classes, name="head")

    def _stem(self, b: GraphBuilder, x: Tensor) -> Tensor:
        if not self.stem:
            x = self._conv(b, x, 64, 7, stride=2, name="stem")
            return layers.pool(b, x, "max", 3, stride=2, padding=1, name="stem_pool")
        for place, channels in enumerate(self.stem):
            x = self._act(b, x, f"stem{place}") if place else x
            x = self._conv(b, x, channels, 3, stride=2 if place in (0, 3) else 1, name=f"stem{place}")
        return x

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int, ratio: float) -> Tensor:
        inner = image_layers.rounded((x.shape[1] if self.inward else width) * ratio)
        groups = inner // self.group if self.group else 1
        inner = self.group * groups if self.group else inner
        y = layers.multiply(b, self._act(b, x, "1"), b.state("beta", (1,)), name="by_beta")
        shortcut = x
        if stride > 1 or x.shape[1] != width:
            shortcut = layers.pool(b, y, "average", 2, ceil=True, name="downsample_pool") if stride > 1 else y
            shortcut = self._conv(b, shortcut, width, 1, name="downsample")
        y = self._act(b, self._conv(b, y, inner, 1, name="conv1"), "2")
        y = self._conv(b, y, inner, 3, stride=stride, groups=groups, name="conv2")
        if self.twice:
            y = self._conv(b, self._act(b, y, "2b"), inner, 3, groups=groups, name="conv2b")
        y = self._gated(b, y) if self.inward else y
        y = self._conv(b, self._act(b, y, "3"), width, 1, name="conv3")
        y = y if self.inward else self._gated(b, y)
        if self.published:
            y = layers.multiply(b, y, b.add(Cast(), b.weight("gain", (1,))), name="skip_gain")
        return layers.add(b, layers.multiply(b, y, b.state("alpha", (1,)), name="by_alpha"), shortcut)

    def _gated(self, b: GraphBuilder, y: Tensor) -> Tensor:
        if not self.gate:
            return y
        squeezed = self.gate == "se"
        y = image_layers.channel_gate(b, y, self.squeeze) if squeezed else image_layers.efficient_gate(b, y)
        return layers.multiply(b, y, b.state("gate_gain", (1,)), name="by_gain")

    def _act(self, b: GraphBuilder, x: Tensor, end: str) -> Tensor:
        y = layers.activation(b, x, self.act, name=f"act{end}")
        return layers.multiply(b, y, b.state(f"gamma{end}", (1,)), name=f"by_gamma{end}") if self.published else y

    def _conv(
        self, b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, name: str
    ) -> Tensor:
        padding = None
        if self.published and stride > 1:
            x, padding = image_layers.same_padding(b, x, kernel, stride, name), 0
        return image_layers.standard_conv(
            b, x, channels, kernel, stride=stride, padding=padding, groups=groups, scaled=True, name=name
        )


_DEPTHS: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {
        "18": (2, 2, 2, 2),
        "26": (2, 2, 2, 2),
        "34": (3, 4, 6, 3),
        "50": (3, 4, 6, 3),
        "101": (3, 4, 23, 3),
        "152": (3, 8, 36, 3),
    }
)
_STEMS: Mapping[str, tuple[int, ...]] = MappingProxyType({"": (), "d": (32, 32, 64), "t": (24, 32, 64)})
_NORMS: Mapping[str, str] = MappingProxyType({"": "batch", "gn": "group", "evos": "evo", "frn": "response"})


def _find_v2(name: str) -> Sized | None:
    bit = re.match(r"resnetv2_(50|101|152)x([1-4])_bit$", name)
    if bit is not None:
        network = PreActivated(depths=_DEPTHS[bit[1]], factor=int(bit[2]), norm="group", standard=True, padded=True)
        return Sized(network, 480 if bit[2] == "4" else 448)
    found = re.match(r"resnetv2_(18|34|50|101|152)([dt]?)(?:_(gn|evos|frn))?$", name)
    if found is None:
        return None
    layers_, letter, norm = found.groups()
    basic = layers_ in ("18", "34")
    return Sized(
        PreActivated(
            depths=_DEPTHS[layers_],
            widths=(64, 128, 256, 512) if basic else _WIDE,
            basic=basic,
            stem=_STEMS[letter],
            average_down=bool(letter),
            norm=_NORMS[norm or ""],
        )
    )


_REGNETS: Mapping[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int], int]] = MappingProxyType(
    {
        "0": ((1, 3, 6, 6), (48, 104, 208, 440), 192),
        "1": ((2, 4, 7, 7), (48, 104, 208, 440), 256),
        "2": ((2, 4, 8, 8), (56, 112, 232, 488), 240),
        "3": ((2, 5, 9, 9), (56, 128, 248, 528), 288),
        "4": ((2, 6, 11, 11), (64, 144, 288, 616), 320),
        "5": ((3, 7, 14, 14), (80, 168, 336, 704), 384),
    }
)
"""Blocks and widths before they are scaled by three quarters, image size."""
_F_SIZES = (192, 224, 256, 320, 384, 416, 448, 480)
_F = NormFree(
    depths=(1, 2, 6, 3),
    widths=(256, 512, 1536, 1536),
    ratio=0.5,
    group=128,
    gate="se",
    squeeze=0.5,
    twice=True,
    features=3072,
    stem=(16, 32, 64, 128),
    act="gelu",
)
"""Brock et al. 2021, NFNets, Table 1."""
_L = replace(_F, ratio=0.25, group=64, gate="eca", act="silu")


def _deeper(network: NormFree, times: int) -> NormFree:
    first, second, third, fourth = network.depths
    return replace(network, depths=(first * times, second * times, third * times, fourth * times))


def _find_nf(name: str) -> Sized | None:
    found = re.match(r"(dm_)?nfnet_f([0-7])$", name)
    if found is not None:
        return Sized(replace(_deeper(_F, int(found[2]) + 1), published=bool(found[1])), _F_SIZES[int(found[2])])
    found = re.match(r"(eca_)?nfnet_l([0-3])$", name)
    if found is not None:
        gate = ("eca", _L.squeeze) if found[1] else ("se", 0.25)
        size = int(found[2])
        network = replace(_L, gate=gate[0], squeeze=gate[1], features=3072 if size else 2304)
        return Sized(_deeper(network, size + 1), (224, 256, 320, 352)[size])
    found = re.match(r"nf_(se|eca)?resnet(26|50|101)$", name)
    if found is not None:
        return Sized(NormFree(depths=_DEPTHS[found[2]], gate=found[1] or ""), 256 if name == "nf_resnet50" else 224)
    found = re.match(r"nf_regnet_b([0-5])$", name)
    if found is None:
        return None
    depths, base, pixels = _REGNETS[found[1]]
    first, second, third, fourth = (image_layers.rounded(0.75 * width) for width in base)
    network = NormFree(
        depths=depths,
        widths=(first, second, third, fourth),
        ratio=2.25,
        inward=True,
        group=8,
        gate="se",
        squeeze=0.5,
        features=image_layers.rounded(0.75 * (1280 * base[3] // 440)),
        stem=(first,),
        act="silu",
    )
    return Sized(network, pixels)


FAMILIES = (
    ImageFamily(
        name="resnetv2",
        title="residual network that normalises first",
        source="He et al. 2016, Identity Mappings in Deep Residual Networks; Kolesnikov et al. 2020, Big Transfer",
        examples=("resnetv2_50", "resnetv2_101x3_bit", "resnetv2_50d_gn"),
        find=_find_v2,
    ),
    ImageFamily(
        name="nfnet",
        title="residual network without normalisation",
        source="Brock et al. 2021, High-Performance Large-Scale Image Recognition Without Normalization",
        examples=("nfnet_f1", "eca_nfnet_l0", "nf_regnet_b1", "nf_resnet50"),
        find=_find_nf,
    ),
)
