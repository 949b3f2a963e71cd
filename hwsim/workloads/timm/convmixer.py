"""ConvMixers and MambaOuts, of depthwise convolutions and perceptrons alone, by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "ConvMixer", "MambaOut"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))


@dataclass(frozen=True, slots=True)
class ConvMixer:
    """Width, layers, side of depthwise kernels and of patches (Trockman and Kolter 2022, Fig. 3)."""

    width: int
    depth: int
    kernel: int
    patch: int
    act: str = "gelu"

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, self.patch, stride=self.patch, padding=0, name="patches")
        x = layers.batch_norm(b, layers.activation(b, x, self.act), name="patches_bn")
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                y = layers.conv(b, x, self.width, self.kernel, groups=self.width, name="depthwise")
                y = layers.batch_norm(b, layers.activation(b, y, self.act), name="depthwise_bn")
                x = layers.conv(b, layers.add(b, y, x), self.width, 1, name="point")
                x = layers.batch_norm(b, layers.activation(b, x, self.act), name="point_bn")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")


@dataclass(frozen=True, slots=True, kw_only=True)
class MambaOut:
    """Blocks and widths of stages (Yu and Wang 2024, MambaOut, Table 4).

    ``ratio``: inner over outer width; ``convolved``: channels of the depthwise convolution over outer ones. ``own``:
    timm's, which scale what a layer makes, normalise before strides and have no norm within the stem.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    ratio: float = 8 / 3
    convolved: float = 1.0
    act: str = "gelu"
    own: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.widths[0] // 2, 3, stride=2, name="stem0")
        if not self.own:
            x = b.add(_TO_SECOND, layers.layer_norm(b, b.add(_TO_LAST, x), name="stem0_norm", kept=True))
        x = layers.conv(b, layers.activation(b, x, self.act), self.widths[0], 3, stride=2, name="stem1")
        x = layers.layer_norm(b, b.add(_TO_LAST, x), name="stem1_norm", kept=True)
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage:
                    x = layers.layer_norm(b, x, name="down_norm", kept=True) if self.own else x
                    x = b.add(_TO_LAST, layers.conv(b, b.add(_TO_SECOND, x), width, 3, stride=2, name="down"))
                    x = x if self.own else layers.layer_norm(b, x, name="down_norm", kept=True)
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x)
        y = layers.layer_norm(b, b.add(ReduceAxes("mean", (1, 2)), x), name="norm", kept=True)
        y = layers.activation(b, layers.linear(b, y, 4 * x.shape[3], name="hidden"), "gelu")
        y = y if self.own else layers.layer_norm(b, y, name="hidden_norm", kept=True)
        return layers.linear(b, y, classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """A gate times channels, some of them convolved (Yu and Wang 2024, Fig. 3)."""
        width = x.shape[3]
        inner, convolved = int(self.ratio * width), int(self.convolved * width)
        y = layers.linear(b, layers.layer_norm(b, x, kept=True), 2 * inner, name="up")
        gate, kept, part = b.add_all(Split(-1, (inner, inner - convolved, convolved)), y, name="parts")
        part = layers.conv(b, b.add(_TO_SECOND, part), convolved, 7, groups=convolved, name="depthwise")
        joined = b.add(Concat(3), kept, b.add(_TO_LAST, part), name="joined")
        y = layers.multiply(b, layers.activation(b, gate, self.act), joined, name="gated")
        y = layers.linear(b, y, width, name="down")
        y = layers.multiply(b, y, b.weight("scale", (width,)), name="layer_scale") if self.own else y
        return layers.add(b, y, x)


_MIXERS: Mapping[str, ConvMixer] = MappingProxyType(
    {
        "convmixer_1536_20": ConvMixer(1536, 20, 9, 7),
        "convmixer_768_32": ConvMixer(768, 32, 7, 7, "relu"),
        "convmixer_1024_20_ks9_p14": ConvMixer(1024, 20, 9, 14),
    }
)
_TINY, _BASE = (96, 192, 384, 576), (128, 256, 512, 768)
_RW = MambaOut(depths=(3, 4, 27, 3), widths=_TINY, own=True)
_WIDE = replace(_RW, widths=_BASE, ratio=3.0, convolved=1.5, act="silu")
_OUTS: Mapping[str, tuple[MambaOut, int]] = MappingProxyType(
    {
        "mambaout_femto": (MambaOut(depths=(3, 3, 9, 3), widths=(48, 96, 192, 288)), 224),
        "mambaout_kobe": (MambaOut(depths=(3, 3, 15, 3), widths=(48, 96, 192, 288)), 224),
        "mambaout_tiny": (MambaOut(depths=(3, 3, 9, 3), widths=_TINY), 224),
        "mambaout_small": (MambaOut(depths=(3, 4, 27, 3), widths=_TINY), 224),
        "mambaout_base": (MambaOut(depths=(3, 4, 27, 3), widths=_BASE), 224),
        "mambaout_small_rw": (_RW, 224),
        "mambaout_base_short_rw": (
            replace(_RW, depths=(3, 3, 25, 3), widths=_BASE, ratio=3.0, convolved=1.25),
            224,
        ),
        "mambaout_base_tall_rw": (
            replace(_RW, depths=(3, 4, 30, 3), widths=_BASE, ratio=2.5, convolved=1.25),
            224,
        ),
        "mambaout_base_wide_rw": (_WIDE, 224),
        "mambaout_base_plus_rw": (replace(_WIDE, depths=(3, 4, 30, 3)), 224),
        "test_mambaout": (
            replace(_RW, depths=(1, 1, 3, 1), widths=(16, 32, 48, 64), ratio=3.0, act="silu"),
            160,
        ),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_MIXERS[name]) if name in _MIXERS else None


def _find_out(name: str) -> Sized | None:
    return Sized(*_OUTS[name]) if name in _OUTS else None


FAMILIES = (
    ImageFamily(
        name="convmixer",
        title="depthwise and pointwise convolutions of patches",
        source="Trockman and Kolter 2022, Patches Are All You Need?",
        examples=tuple(_MIXERS),
        find=_find,
    ),
    ImageFamily(
        name="mambaout",
        title="gated depthwise convolutions",
        source="Yu and Wang 2024, MambaOut: Do We Really Need Mamba for Vision?",
        examples=tuple(_OUTS),
        find=_find_out,
    ),
)
