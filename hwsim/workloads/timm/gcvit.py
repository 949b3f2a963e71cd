"""Global context vision transformers (Hatamizadeh et al. 2023) by the names of timm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers, windows
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "GlobalContext"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalContext:
    """Blocks of each stage, width and heads of the first, hidden over outer width, layer scale (Table 7)."""

    depths: tuple[int, int, int, int]
    width: int = 64
    heads: int = 2
    ratio: int = 3
    scaled: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, 3, stride=2, name="stem")
        x = self._down(b, x, self.width)
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                x = self._down(b, x, 2 * x.shape[1]) if stage else x
                side = image.shape[2] // (16 if stage == 2 else 32)
                asked = b.add(_TO_LAST, self._asked(b, x, side))
                y = b.add(_TO_LAST, x)
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        y = self._block(b, y, asked if place % 2 else None, self.heads << stage, side)
                y = layers.layer_norm(b, y, name="norm", kept=True) if stage == 3 else y
                x = b.add(Transpose((0, 3, 1, 2), copied=True), y, name="image")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _down(self, b: GraphBuilder, x: Tensor, width: int) -> Tensor:
        with b.scope("down"):
            x = _inverted(b, image_layers.channel_norm(b, x, "norm1"), "mix")
            x = layers.conv(b, x, width, 3, stride=2, bias=False, name="halved")
            return image_layers.channel_norm(b, x, "norm2")

    def _asked(self, b: GraphBuilder, x: Tensor, side: int) -> Tensor:
        """Queries for all windows at once: the image pooled to the size of one (section 3.2)."""
        levels = int(math.log2(min(x.shape[2:]) / side))
        for level in range(max(1, levels)):
            x = _inverted(b, x, f"query{level}")
            x = layers.pool(b, x, "max", 3, stride=2, padding=1, name=f"query_pool{level}") if level < levels else x
        return x

    def _block(self, b: GraphBuilder, x: Tensor, asked: Tensor | None, heads: int, side: int) -> Tensor:
        _, height, across, width = x.shape
        y = windows.partitioned(b, layers.layer_norm(b, x, name="norm1", kept=True), side)
        y = windows.gathered(b, self._attend(b, y, asked, heads), side, height, across)
        x = layers.add(b, x, self._scale(b, y, "1"))
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), self.ratio * width)
        return layers.add(b, x, self._scale(b, y, "2"), name="add2")

    def _attend(self, b: GraphBuilder, x: Tensor, asked: Tensor | None, heads: int) -> Tensor:
        """Of each window to itself, or of the global queries to each, kernel by kernel."""
        count, seq, width = x.shape
        with b.scope("attention"):
            parts = 3 if asked is None else 2
            made = b.add_all(Split(-1, (width,) * parts), layers.linear(b, x, parts * width, name="qkv"))
            if asked is not None:
                repeated = b.add(Tile((count // asked.shape[0], 1, 1, 1)), asked, name="query_of_each")
                made = (b.add(Reshape((count, seq, width)), repeated), *made)
            q, k, v = (layers.split_heads(b, part, heads, name=n) for part, n in zip(made, "qkv", strict=True))
            q = b.add(Mul((width // heads) ** -0.5), q, name="scaled")
            scores = b.add(Matmul(transpose_b=True), q, k, name="scores")
            side = math.isqrt(seq)
            table = b.weight("distances", ((2 * side - 1) ** 2, heads))
            scores = layers.add(b, scores, image_layers.position_bias(b, table, seq), name="biased")
            y = layers.merge_heads(b, b.add(Matmul(), b.add(Softmax(), scores), v, name="values"))
            return layers.linear(b, y, width, name="out")

    def _scale(self, b: GraphBuilder, y: Tensor, end: str) -> Tensor:
        if not self.scaled:
            return y
        return layers.multiply(b, y, b.weight(f"scale{end}", (y.shape[-1],)), name=f"layer_scale{end}")


def _inverted(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Depthwise 3x3, gate without biases, 1x1, added to x."""
    width = x.shape[1]
    with b.scope(name):
        y = layers.activation(b, layers.conv(b, x, width, 3, groups=width, bias=False, name="depthwise"), "gelu")
        gate = b.add(Reshape((*y.shape[:2], 1, 1)), layers.global_average(b, y))
        gate = layers.conv(b, gate, image_layers.rounded(width / 4, limit=0.0), 1, bias=False, name="reduce")
        gate = layers.conv(b, layers.activation(b, gate, "gelu"), width, 1, bias=False, name="expand")
        y = layers.multiply(b, y, layers.activation(b, gate, "sigmoid"), name="gated")
        return layers.add(b, layers.conv(b, y, width, 1, bias=False, name="point"), x)


_NETWORKS: Mapping[str, GlobalContext] = MappingProxyType(
    {
        "gcvit_xxtiny": GlobalContext(depths=(2, 2, 6, 2)),
        "gcvit_xtiny": GlobalContext(depths=(3, 4, 6, 5)),
        "gcvit_tiny": GlobalContext(depths=(3, 4, 19, 5)),
        "gcvit_small": GlobalContext(depths=(3, 4, 19, 5), width=96, heads=3, ratio=2, scaled=True),
        "gcvit_base": GlobalContext(depths=(3, 4, 19, 5), width=128, heads=4, ratio=2, scaled=True),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="gcvit",
        title="windows that global queries ask",
        source="Hatamizadeh et al. 2023, Global Context Vision Transformers, Table 7",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
