"""Hieras (Ryali et al. 2023, Hiera: A Hierarchical Vision Transformer) by the names of timm."""

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
from hwsim.operators.split import Split
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "Hiera"]

_UNIT = 64
"""Positions of a unit that attends to itself in the first two stages: 8 x 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hiera:
    """Blocks of each stage, width and heads of the first.

    ``windowed``: position embeddings of a window, tiled, on those of 14 x 14 or ``places``, resized (bicubic there,
    bilinear here), and layer scale. ``pooled``: where the width doubles, maxima and means stand side by side instead
    of a projection.
    """

    depths: tuple[int, int, int, int]
    width: int
    heads: int
    windowed: bool = False
    places: int = 14
    pooled: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._embed(b, image)
        width, heads, unit = self.width, self.heads, _UNIT
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                halves = stage > 0 and place == 0
                if halves:
                    width, heads, unit = 2 * width, 2 * heads, unit // 4
                local = stage < 2 or (stage == 2 and halves)  # a stage's first block attends like the stage before
                count = x.shape[1] // (unit * 4 if halves else unit) if local else 1
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x, width, heads, count, halves=halves)
        y = layers.layer_norm(b, b.add(ReduceAxes("mean", (1,)), x), name="norm", kept=True)
        return layers.linear(b, y, classes, name="head")

    def _embed(self, b: GraphBuilder, image: Tensor) -> Tensor:
        """Patches in the order in which four neighbours pool, unit by unit."""
        batch = image.shape[0]
        x = layers.conv(b, image, self.width, 7, stride=4, padding=3, name="patches")
        _, width, height, across = x.shape
        x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, width, -1)), x))
        if self.windowed:
            places = b.weight("positions", (1, width, self.places, self.places))
            places = b.add(Resize(size=(height, across), mode="bilinear"), places, name="resized")
            window = b.weight("window_positions", (1, width, 8, 8))
            places = layers.add(b, places, b.add(Tile((1, 1, height // 8, across // 8)), window), name="both_positions")
            places = b.add(Transpose((0, 2, 1)), b.add(Reshape((1, width, -1)), places))
        else:
            places = b.weight("positions", (1, height * across, width))
        x = layers.add(b, x, places, name="add_positions")
        for step in range(3):
            count, height, across = batch << (2 * step), height // 2, across // 2
            x = b.add(Reshape((count, height, 2, across, 2, width)), x)
            x = b.add(Reshape((4 * count, height * across, width)), b.add(Transpose((0, 2, 4, 1, 3, 5)), x))
        return b.add(Reshape((batch, -1, width)), x)

    def _block(self, b: GraphBuilder, x: Tensor, width: int, heads: int, units: int, *, halves: bool) -> Tensor:
        batch = x.shape[0]
        y = layers.layer_norm(b, x, name="norm1", kept=True)
        if halves and self.pooled:
            parts = b.add(Reshape((batch, 4, -1, x.shape[2])), x)
            made = [b.add(ReduceAxes(mode, (1,)), parts, name=mode) for mode in ("max", "mean")]
            x = b.add(Concat(-1), *made)
        elif halves:
            x = layers.linear(b, y, width, name="projection")
            x = b.add(ReduceAxes("max", (1,)), b.add(Reshape((batch, 4, -1, width)), x), name="pooled")
        x = layers.add(b, x, self._scaled(b, self._attend(b, y, width, heads, units, halves=halves), "1"))
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), 4 * width)
        return layers.add(b, x, self._scaled(b, y, "2"), name="add2")

    def _scaled(self, b: GraphBuilder, y: Tensor, end: str) -> Tensor:
        if not self.windowed:
            return y
        return layers.multiply(b, y, b.weight(f"scale{end}", (y.shape[2],)), name=f"layer_scale{end}")

    def _attend(self, b: GraphBuilder, x: Tensor, width: int, heads: int, units: int, *, halves: bool) -> Tensor:
        """Attention in units; where four positions become one, so do the queries."""
        batch, seq, _ = x.shape
        dim = width // heads
        with b.scope("attention"):
            joint = layers.linear(b, x, 3 * width, name="qkv")
            parts = []
            for part, name in zip(b.add_all(Split(-1, (width, width, width)), joint), "qkv", strict=True):
                y = b.add(Reshape((batch, seq // units, units, heads, dim)), part)
                y = b.add(Transpose((0, 3, 2, 1, 4)), y, name=name)
                if halves and name == "q":
                    y = b.add(Reshape((batch, heads, units, 4, -1, dim)), y)
                    y = b.add(ReduceAxes("max", (3,)), y, name="q_pooled")
                parts.append(b.add(Reshape((batch, heads * units, -1, dim)), y))
            y = image_layers.fused_attention(b, parts[0], parts[1], parts[2])
            y = b.add(Transpose((0, 3, 2, 1, 4)), b.add(Reshape((batch, heads, units, -1, dim)), y), name="merge")
            return layers.linear(b, b.add(Reshape((batch, -1, width)), y), width, name="out")


_SIZES: Mapping[str, tuple[tuple[int, int, int, int], int, int]] = MappingProxyType(
    {
        "tiny": ((1, 2, 7, 2), 96, 1),
        "small": ((1, 2, 11, 2), 96, 1),
        "base": ((2, 3, 16, 3), 96, 1),
        "base_plus": ((2, 3, 16, 3), 112, 2),
        "large": ((2, 6, 36, 4), 144, 2),
        "huge": ((2, 6, 36, 4), 256, 4),
    }
)
"""Blocks, width, heads (Ryali et al. 2023, Hiera, Table 2)."""


def _find(name: str) -> Sized | None:
    found = re.match(r"hiera_(tiny|small|base|base_plus|large|huge)(_abswin)?_(224|256)$", name)
    if found is None:
        return None
    depths, width, heads = _SIZES[found[1]]
    small = bool(found[2]) and found[1] == "small"
    network = Hiera(
        depths=depths, width=width, heads=heads, windowed=bool(found[2]), places=16 if small else 14, pooled=small
    )
    return Sized(network, int(found[3]))


FAMILIES = (
    ImageFamily(
        name="hiera",
        title="hierarchical vision transformer",
        source="Ryali et al. 2023, Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles, Table 2",
        examples=("hiera_base_224", "hiera_small_abswin_256", "hiera_tiny_224"),
        find=_find,
    ),
)
