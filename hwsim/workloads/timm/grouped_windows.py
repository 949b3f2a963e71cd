"""NesTs, Twins and TinyViTs, transformers whose layers attend in blocks of the image, by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers, windows
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "NesT", "TinyViT", "Twins"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))


def _attended_blocks(b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
    """Attention of x (blocks, seq, width) to itself: five axes in the published code, which no fused kernel takes."""
    width = x.shape[2]
    with b.scope("attention"):
        parts = b.add_all(Split(-1, (width, width, width)), layers.linear(b, x, 3 * width, name="qkv"))
        q, k, v = (layers.split_heads(b, part, heads, name=name) for part, name in zip(parts, "qkv", strict=True))
        return layers.merge_heads(b, image_layers.plain_attention(b, q, k, v))


@dataclass(frozen=True, slots=True, kw_only=True)
class NesT:
    """Layers of each level and width and heads of the first (Zhang et al. 2022, Nested Hierarchical Transformer).

    Blocks are a quarter of the image of the first level along each side. ``same``: TensorFlow's padding of pools.
    """

    depths: tuple[int, int, int]
    width: int
    heads: int
    same: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, 4, stride=4, padding=0, name="patches")
        side = x.shape[2] // 4
        for level, depth in enumerate(self.depths):
            with b.scope(f"level{level}"):
                x = self._merged(b, x) if level else x
                batch, width, height, across = x.shape
                y = windows.partitioned(b, b.add(_TO_LAST, x), side)
                count, seq, _ = y.shape
                blocks = b.add(Reshape((batch, count // batch, seq, width)), y)
                places = b.weight("positions", (1, count // batch, seq, width))
                y = b.add(Reshape(y.shape), layers.add(b, blocks, places, name="add_positions"))
                for place in range(depth):
                    with b.scope(f"layer{place}"):
                        z = _attended_blocks(b, layers.layer_norm(b, y, name="norm1", kept=True), self.heads << level)
                        y = layers.add(b, y, layers.linear(b, z, width, name="out"))
                        z = layers.mlp(b, layers.layer_norm(b, y, name="norm2", kept=True), 4 * width)
                        y = layers.add(b, y, z, name="add2")
                x = b.add(_TO_SECOND, windows.gathered(b, y, side, height, across))
        x = image_layers.channel_norm(b, x, "norm")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _merged(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Four blocks as one (Zhang et al. 2022, section 3.1)."""
        y = image_layers.channel_norm(b, layers.conv(b, x, 2 * x.shape[1], 3, name="merge"), "merge_norm")
        if not self.same:
            return layers.pool(b, y, "max", 3, stride=2, padding=1, name="merge_pool")
        y = b.add(Pad(((0, 0), (0, 0), (0, 1), (0, 1)), value=-65_504.0), y, name="merge_pad")
        return layers.pool(b, y, "max", 3, stride=2, name="merge_pool")


@dataclass(frozen=True, slots=True, kw_only=True)
class Twins:
    """Layers, widths, heads and hidden over outer width of stages (Chu et al. 2021, Twins, Tables 6 and 7).

    ``local``: every other layer attends in blocks of 7 x 7 patches; the others read keys from a strided convolution.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int] = (64, 128, 320, 512)
    heads: tuple[int, int, int, int] = (1, 2, 5, 8)
    ratios: tuple[int, int, int, int] = (8, 8, 4, 4)
    local: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            with b.scope(f"stage{stage}"):
                side = 2 if stage else 4
                x = layers.conv(b, x, width, side, stride=side, padding=0, name="patches")
                size = (x.shape[2], x.shape[3])
                y = layers.layer_norm(b, image_layers.to_sequence(b, x), name="patch_norm")
                for place in range(depth):
                    with b.scope(f"layer{place}"):
                        y = self._layer(b, y, stage, size, local=self.local and place % 2 == 0)
                    if place == 0:
                        picture = image_layers.to_image(b, y, size)
                        z = layers.conv(b, picture, width, 3, groups=width, name="positions")
                        y = image_layers.to_sequence(b, layers.add(b, z, picture, name="add_positions"))
                if stage < 3:
                    picture = b.add(Reshape((x.shape[0], *size, width)), y)
                    x = b.add(Transpose((0, 3, 1, 2), copied=True), picture, name="picture")
        y = b.add(ReduceAxes("mean", (1,)), layers.layer_norm(b, y))
        return layers.linear(b, y, classes, name="head")

    def _layer(self, b: GraphBuilder, x: Tensor, stage: int, size: tuple[int, int], *, local: bool) -> Tensor:
        batch, seq, width = x.shape
        y = layers.layer_norm(b, x, name="norm1")
        if local:
            y = windows.partitioned(b, b.add(Reshape((batch, *size, width)), y), 7)
            y = _attended_blocks(b, y, self.heads[stage])
            y = b.add(Reshape((batch, seq, width)), windows.gathered(b, y, 7, *size))
            y = layers.linear(b, y, width, name="out")
        else:
            y = self._subsampled(b, y, stage, size)
        x = layers.add(b, x, y)
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), self.ratios[stage] * width)
        return layers.add(b, x, y, name="add2")

    def _subsampled(self, b: GraphBuilder, x: Tensor, stage: int, size: tuple[int, int]) -> Tensor:
        width, heads, reduced = x.shape[2], self.heads[stage], 8 >> stage
        with b.scope("attention"):
            q = layers.split_heads(b, layers.linear(b, x, width, name="q"), heads, name="q_heads")
            if reduced > 1:
                y = image_layers.to_image(b, x, size)
                y = layers.conv(b, y, width, reduced, stride=reduced, padding=0, name="reduce")
                x = layers.layer_norm(b, image_layers.to_sequence(b, y))
            parts = b.add_all(Split(-1, (width, width)), layers.linear(b, x, 2 * width, name="kv"))
            k, v = (layers.split_heads(b, part, heads, name=n) for part, n in zip(parts, "kv", strict=True))
            return layers.linear(b, layers.merge_heads(b, image_layers.fused_attention(b, q, k, v)), width, name="out")


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyViT:
    """Widths and heads of stages and sides of their windows, none in the first (Wu et al. 2022, TinyViT, Table 1)."""

    widths: tuple[int, int, int, int]
    heads: tuple[int, int, int]
    sides: tuple[int, int, int] = (7, 14, 7)

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self.features(b, image)
        y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        return layers.linear(b, layers.flatten(b, image_layers.channel_norm(b, y, "norm")), classes, name="head")

    def features(self, b: GraphBuilder, image: Tensor, last_stride: int = 2) -> Tensor:
        """(batch, width, height, width) behind the last stage, which halves its image by ``last_stride``."""
        width = self.widths[0]
        x = layers.conv_bn_act(b, image, width // 2, 3, stride=2, act="gelu", name="stem0")
        x = layers.conv_bn_act(b, x, width, 3, stride=2, act="", name="stem1")
        for place in range(2):
            with b.scope(f"stage0.{place}"):
                y = layers.conv_bn_act(b, x, 4 * width, 1, act="gelu", name="expand")
                y = layers.conv_bn_act(b, y, 4 * width, 3, groups=4 * width, act="gelu", name="depthwise")
                y = layers.conv_bn_act(b, y, width, 1, act="", name="project")
                x = layers.activation(b, layers.add(b, y, x), "gelu")
        for stage, (depth, side) in enumerate(zip((2, 6, 2), self.sides, strict=True)):
            with b.scope(f"stage{stage + 1}"):
                width = self.widths[stage + 1]
                x = layers.conv_bn_act(b, x, width, 1, act="gelu", name="merge0")
                stride = last_stride if stage == 2 else 2
                x = layers.conv_bn_act(b, x, width, 3, stride=stride, groups=width, act="gelu", name="merge1")
                x = b.add(_TO_LAST, layers.conv_bn_act(b, x, width, 1, act="", name="merge2"))
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x, self.heads[stage], side)
                x = b.add(_TO_SECOND, x)
        return x

    def _block(self, b: GraphBuilder, x: Tensor, heads: int, side: int) -> Tensor:
        batch, height, across, width = x.shape
        whole = (height, across) == (side, side)
        y = b.add(Reshape((batch, side * side, width)), x) if whole else windows.partitioned(b, x, side)
        with b.scope("attention"):
            y = layers.linear(b, layers.layer_norm(b, y), 3 * width, name="qkv")
            joint = b.add(Reshape((y.shape[0], side * side, heads, 3 * width // heads)), y)
            parts = b.add_all(Split(3, (width // heads,) * 3), joint)
            q, k, v = (b.add(Transpose((0, 2, 1, 3)), part, name=n) for part, n in zip(parts, "qkv", strict=True))
            bias = b.state("bias", (1, heads, side * side, side * side), "fp32")
            y = layers.merge_heads(b, image_layers.fused_attention(b, q, k, v, bias))
            y = layers.linear(b, y, width, name="out")
        y = b.add(Reshape(x.shape), y) if whole else windows.gathered(b, y, side, height, across)
        x = b.add(_TO_SECOND, layers.add(b, x, y))
        x = image_layers.to_sequence(b, layers.conv_bn_act(b, x, width, 3, groups=width, act="", name="local"))
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * width)
        return b.add(Reshape((batch, height, across, width)), layers.add(b, x, y, name="add2"))


_NESTS: Mapping[str, NesT] = MappingProxyType(
    {
        "tiny": NesT(depths=(2, 2, 8), width=96, heads=3),
        "small": NesT(depths=(2, 2, 20), width=96, heads=3),
        "base": NesT(depths=(2, 2, 20), width=128, heads=4),
    }
)
_EVEN = (4, 4, 4, 4)
_TWINS: Mapping[str, Twins] = MappingProxyType(
    {
        "pcpvt_small": Twins(depths=(3, 4, 6, 3)),
        "pcpvt_base": Twins(depths=(3, 4, 18, 3)),
        "pcpvt_large": Twins(depths=(3, 8, 27, 3)),
        "svt_small": Twins(
            depths=(2, 2, 10, 4), widths=(64, 128, 256, 512), heads=(2, 4, 8, 16), ratios=_EVEN, local=True
        ),
        "svt_base": Twins(
            depths=(2, 2, 18, 2), widths=(96, 192, 384, 768), heads=(3, 6, 12, 24), ratios=_EVEN, local=True
        ),
        "svt_large": Twins(
            depths=(2, 2, 18, 2), widths=(128, 256, 512, 1024), heads=(4, 8, 16, 32), ratios=_EVEN, local=True
        ),
    }
)
_TINY: Mapping[str, TinyViT] = MappingProxyType(
    {
        "5m": TinyViT(widths=(64, 128, 160, 320), heads=(4, 5, 10)),
        "11m": TinyViT(widths=(64, 128, 256, 448), heads=(4, 8, 14)),
        "21m": TinyViT(widths=(96, 192, 384, 576), heads=(6, 12, 18)),
    }
)


def _find(name: str) -> Sized | None:
    found = re.match(r"nest_(tiny|small|base)(_jx)?$", name)
    return Sized(replace(_NESTS[found[1]], same=found[2] is not None)) if found else None


def _find_twins(name: str) -> Sized | None:
    network = _TWINS.get(name.removeprefix("twins_")) if name.startswith("twins_") else None
    return Sized(network) if network else None


def _find_tiny(name: str) -> Sized | None:
    found = re.match(r"tiny_vit_(5m|11m|21m)_(224|384|512)$", name)
    if found is None:
        return None
    side = int(found[2]) // 32
    network = replace(_TINY[found[1]], sides=(side, 2 * side, side))
    return Sized(network, int(found[2]), 21_841 if found[2] == "224" else 1000)


FAMILIES = (
    ImageFamily(
        name="nest",
        title="transformer in nested blocks",
        source="Zhang et al. 2022, Nested Hierarchical Transformer, Table 1",
        examples=("nest_base", "nest_tiny_jx"),
        find=_find,
    ),
    ImageFamily(
        name="twins",
        title="transformer with local and subsampled attention",
        source="Chu et al. 2021, Twins: Revisiting the Design of Spatial Attention in Vision Transformers",
        examples=("twins_svt_large", "twins_pcpvt_small"),
        find=_find_twins,
    ),
    ImageFamily(
        name="tinyvit",
        title="small vision transformer in windows",
        source="Wu et al. 2022, TinyViT: Fast Pretraining Distillation for Small Vision Transformers, Table 1",
        examples=("tiny_vit_21m_512", "tiny_vit_5m_224"),
        find=_find_tiny,
    ),
)
