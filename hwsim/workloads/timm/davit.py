"""DaViTs (Ding et al. 2022, DaViT: Dual Attention Vision Transformers) and FocalNets by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.matmul import Matmul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers, windows
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "DaViT", "FocalNet"]

_FLAT = Transpose((0, 2, 1))


@dataclass(frozen=True, slots=True)
class DaViT:
    """Pairs of blocks of each stage, width of the first, side of a window; ``overlapped``: strides are 3x3."""

    depths: tuple[int, int, int, int]
    width: int
    window: int = 7
    overlapped: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, 7, stride=4, padding=3, name="stem")
        x = image_layers.channel_norm(b, x, "stem_norm")
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                if stage:
                    x = image_layers.channel_norm(b, x, "down_norm")
                    kernel = 3 if self.overlapped else 2
                    padding = 1 if self.overlapped else 0
                    x = layers.conv(b, x, self.width << stage, kernel, stride=2, padding=padding, name="down")
                for place in range(depth):
                    for kind in ("window", "channel"):
                        with b.scope(f"block{place}.{kind}"):
                            x = self._block(b, x, kind)
        return layers.linear(b, layers.layer_norm(b, layers.global_average(b, x), kept=True), classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor, kind: str) -> Tensor:
        batch, width, height, across = x.shape
        heads = width // 32
        x = self._flat(b, self._placed(b, x, "1"))
        y = layers.layer_norm(b, x, name="norm1", kept=True)
        if kind == "window":
            y = b.add(Reshape((batch, height, across, width)), y)
            y = layers.attention(b, windows.partitioned(b, y, self.window), heads, packed=True)
            y = b.add(Reshape((batch, -1, width)), windows.gathered(b, y, self.window, height, across))
        else:
            y = self._channels(b, y, heads)
        x = layers.add(b, x, y)
        x = self._placed(b, b.add(Reshape((batch, width, height, across)), b.add(_FLAT, x)), "2")
        x = self._flat(b, x)
        x = layers.add(b, x, layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), 4 * width), name="add2")
        return b.add(Reshape((batch, width, height, across)), b.add(_FLAT, x))

    def _flat(self, b: GraphBuilder, x: Tensor) -> Tensor:
        return b.add(_FLAT, b.add(Reshape((x.shape[0], x.shape[1], -1)), x))

    def _placed(self, b: GraphBuilder, x: Tensor, end: str) -> Tensor:
        """X and a depthwise convolution of it."""
        y = layers.conv(b, x, x.shape[1], 3, groups=x.shape[1], name=f"positions{end}")
        return layers.add(b, x, y, name=f"placed{end}")

    def _channels(self, b: GraphBuilder, x: Tensor, heads: int) -> Tensor:
        """Shares between the features of a head, as kernels of their own."""
        width = x.shape[2]
        with b.scope("attention"):
            parts = b.add_all(Split(-1, (width, width, width)), layers.linear(b, x, 3 * width, name="qkv"))
            q, k, v = (layers.split_heads(b, t, heads, name=n) for t, n in zip(parts, "qkv", strict=True))
            turned = Transpose((0, 1, 3, 2))
            k = layers.multiply(b, k, b.state("factor", (1,)), name="scaled")
            shares = b.add(Softmax(), b.add(Matmul(), b.add(turned, k), v, name="scores"))
            y = b.add(Matmul(transpose_b=True), shares, q, name="values")
            return layers.linear(b, layers.merge_heads(b, b.add(turned, y)), width, name="out")


@dataclass(frozen=True, slots=True, kw_only=True)
class FocalNet:
    """Blocks, width, levels and first window of focal modulation (Yang et al. 2022, Focal Modulation, section 3.2).

    ``after``: norms and layer scale come behind the parts, strides overlap; ``inner_norm``: one more in modulation.
    """

    depths: tuple[int, int, int, int]
    width: int
    levels: int = 2
    window: int = 3
    after: bool = False
    inner_norm: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._down(b, image, self.width, 4)
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                x = self._down(b, x, self.width << stage, 2) if stage else x
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = layers.add(b, x, self._part(b, x, "1"))
                        x = layers.add(b, x, self._part(b, x, "2"), name="add2")
        y = layers.global_average(b, image_layers.channel_norm(b, x, "norm"))
        return layers.linear(b, y, classes, name="head")

    def _down(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        kernel, padding = ((7, 2) if stride == 4 else (3, 1)) if self.after else (stride, 0)
        x = layers.conv(b, x, width, kernel, stride=stride, padding=padding, name="down")
        return image_layers.channel_norm(b, x, "down_norm")

    def _part(self, b: GraphBuilder, x: Tensor, end: str) -> Tensor:
        channels = x.shape[1]
        y = x if self.after else image_layers.channel_norm(b, x, f"norm{end}")
        if end == "1":
            y = self._modulated(b, y)
        else:
            y = layers.activation(b, layers.conv(b, y, 4 * channels, 1, name="up"), "gelu")
            y = layers.conv(b, y, channels, 1, name="mlp_down")
        if not self.after:
            return y
        y = image_layers.channel_norm(b, y, f"norm{end}")
        return layers.multiply(b, y, b.weight(f"scale{end}", (channels, 1, 1)), name=f"scaled{end}")

    def _modulated(self, b: GraphBuilder, x: Tensor) -> Tensor:
        channels, levels = x.shape[1], self.levels
        with b.scope("modulation"):
            joint = layers.conv(b, x, 2 * channels + levels + 1, 1, name="f")
            q, context, gates = b.add_all(Split(1, (channels, channels, levels + 1)), joint)
            gate = b.add_all(Split(1, (1,) * (levels + 1)), gates)
            total: Tensor | None = None
            for level in range(levels):
                kernel = self.window + 2 * level
                context = layers.conv(b, context, channels, kernel, groups=channels, bias=False, name=f"focus{level}")
                context = layers.activation(b, context, "gelu", name=f"focus{level}_act")
                part = layers.multiply(b, context, gate[level], name=f"gated{level}")
                total = part if total is None else layers.add(b, total, part, name=f"sum{level}")
            mean = b.add(Reshape((x.shape[0], channels, 1, 1)), layers.global_average(b, context))
            part = layers.multiply(b, layers.activation(b, mean, "gelu", name="mean_act"), gate[levels], name="gated")
            total = layers.add(b, total, part, name="sum") if total is not None else part
            y = layers.multiply(b, q, layers.conv(b, total, channels, 1, name="h"), name="modulated")
            y = image_layers.channel_norm(b, y, "norm") if self.inner_norm else y
            return layers.conv(b, y, channels, 1, name="out")


_DEEP = (2, 2, 18, 2)
_DAVITS: Mapping[str, DaViT] = MappingProxyType(
    {
        "davit_tiny": DaViT((1, 1, 3, 1), 96),
        "davit_small": DaViT((1, 1, 9, 1), 96),
        "davit_base": DaViT((1, 1, 9, 1), 128),
        "davit_large": DaViT((1, 1, 9, 1), 192),
        "davit_huge": DaViT((1, 1, 9, 1), 256),
        "davit_giant": DaViT((1, 1, 12, 3), 384),
        "davit_base_fl": DaViT((1, 1, 9, 1), 128, 12, True),
        "davit_huge_fl": DaViT((1, 1, 9, 1), 256, 12, True),
    }
)
_FOCAL_WIDTHS: Mapping[str, int] = MappingProxyType(
    {"tiny": 96, "small": 96, "base": 128, "large": 192, "xlarge": 256, "huge": 352}
)


def _find(name: str) -> Sized | None:
    return Sized(_DAVITS[name], 768 if name.endswith("_fl") else 224) if name in _DAVITS else None


def _find_focal(name: str) -> Sized | None:
    found = re.match(r"focalnet_(tiny|small|base|large|xlarge|huge)_(srf|lrf|fl3|fl4)$", name)
    if found is None:
        return None
    size, reach = found.groups()
    big = reach.startswith("fl")
    network = FocalNet(
        depths=(2, 2, 6, 2) if size == "tiny" else _DEEP,
        width=_FOCAL_WIDTHS[size],
        levels={"srf": 2, "lrf": 3, "fl3": 3, "fl4": 4}[reach],
        window=5 if reach == "fl3" and size != "huge" else 3,
        after=big,
        inner_norm=size == "huge",
    )
    wide = size in ("large", "xlarge")
    return Sized(network, 384 if wide else 224, 21_842 if wide or (size, reach) == ("huge", "fl3") else 1000)


FAMILIES = (
    ImageFamily(
        name="davit",
        title="attention in windows and between features",
        source="Ding et al. 2022, DaViT: Dual Attention Vision Transformers; Xiao et al. 2023, Florence-2",
        examples=tuple(_DAVITS),
        find=_find,
    ),
    ImageFamily(
        name="focalnet",
        title="focal modulation",
        source="Yang et al. 2022, Focal Modulation Networks",
        examples=("focalnet_tiny_srf", "focalnet_small_lrf", "focalnet_huge_fl4"),
        find=_find_focal,
    ),
)
