"""Image encoders of Segment Anything and of its second version by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.tile import Tile
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import image_layers, layers, windows
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.distances import axis_scores

__all__ = ["FAMILIES", "HieraDetector", "SegmentAnything"]

_TO_LAST, _TO_SECOND = Transpose((0, 2, 3, 1)), Transpose((0, 3, 1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentAnything:
    """Layers in windows of 14 x 14 patches, but for the ``whole`` ones (Kirillov et al. 2023, appendix A).

    ``neck``: channels of two convolutions at the end, whose means come out; without it there are classes.
    """

    depth: int
    width: int
    heads: int
    whole: tuple[int, ...]
    neck: int = 256

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes), or means over positions (batch, neck)."""
        x = layers.conv(b, image, self.width, 16, stride=16, padding=0, name="patches")
        x = b.add(_TO_LAST, x)
        if self.neck:
            x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])), name="add_positions")
        batch, height, across, width = x.shape
        for place in range(self.depth):
            with b.scope(f"layer{place}"):
                y = layers.layer_norm(b, x, name="norm1")
                side = 0 if place in self.whole else 14
                y = windows.partitioned(b, y, side) if side else b.add(Reshape((batch, height * across, width)), y)
                y = self._attend(b, y, (side, side) if side else (height, across))
                y = windows.gathered(b, y, side, height, across) if side else b.add(Reshape(x.shape), y)
                x = layers.add(b, x, y)
                y = layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * width)
                x = layers.add(b, x, y, name="add2")
        x = b.add(_TO_SECOND, x)
        if not self.neck:
            return layers.linear(
                b, layers.global_average(b, image_layers.channel_norm(b, x, "norm")), classes, name="head"
            )
        x = layers.conv(b, x, self.neck, 1, bias=False, name="neck1")
        x = image_layers.channel_norm(b, x, "neck_norm1")
        x = layers.conv(b, x, self.neck, 3, bias=False, name="neck2")
        return layers.global_average(b, image_layers.channel_norm(b, x, "neck_norm2"))

    def _attend(self, b: GraphBuilder, x: Tensor, side: tuple[int, int]) -> Tensor:
        """Batch and heads are one axis, as the published code has them, which no fused kernel takes."""
        count, seq, width = x.shape
        dim = width // self.heads
        with b.scope("attention"):
            joint = b.add(Reshape((count, seq, 3, self.heads, dim)), layers.linear(b, x, 3 * width, name="qkv"))
            joint = b.add(Transpose((2, 0, 3, 1, 4)), joint, name="parts_first")
            parts = b.add_all(Split(0, (1, 1, 1)), b.add(Reshape((3, count * self.heads, seq, dim)), joint))
            q, k, v = (b.add(Reshape((count * self.heads, seq, dim)), part) for part in parts)
            down, across = axis_scores(b, b.add(Reshape((count * self.heads, *side, dim)), q), side)
            scores = layers.add(b, down, across, name="distances")
            scores = b.add(Reshape((count * self.heads, seq, seq)), scores)
            y = image_layers.plain_attention(b, q, k, v, scores)
            y = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((count, self.heads, seq, dim)), y), name="merge")
            return layers.linear(b, b.add(Reshape((count, seq, width)), y), width, name="out")


@dataclass(frozen=True, slots=True, kw_only=True)
class HieraDetector:
    """Blocks, width, heads and windows of stages (Ravi et al. 2024, SAM 2, appendix D.1; Bolya et al. 2023).

    ``whole``: blocks that attend everywhere. ``places``: side of the position embeddings that are resized. Only
    ``classified`` ones have classes.
    """

    depths: tuple[int, int, int, int]
    whole: tuple[int, ...]
    width: int = 96
    heads: int = 1
    sides: tuple[int, int, int, int] = (8, 4, 14, 7)
    places: int = 7
    classified: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes), or normalised means over positions."""
        x = self.levels(b, image)[-1]
        y = layers.layer_norm(b, b.add(ReduceAxes("mean", (1, 2)), x), name="norm", kept=True)
        return layers.linear(b, y, classes, name="head") if self.classified else y

    def levels(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """(batch, height, width, width of the stage) behind each stage, at strides of 4, 8, 16 and 32."""
        x = layers.conv(b, image, self.width, 7, stride=4, padding=3, name="patches")
        _, width, height, across = x.shape
        places = b.weight("positions", (1, width, self.places, self.places))
        places = b.add(Resize(size=(height, across), mode="bilinear"), places, name="resized")
        first = self.sides[0]
        window = b.weight("window_positions", (1, width, first, first))
        window = b.add(Tile((1, 1, height // first, across // first)), window)
        x = layers.add(b, x, layers.add(b, places, window, name="both_positions"), name="add_positions")
        x, heads, index, found = b.add(_TO_LAST, x), self.heads, 0, []
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                halves = stage > 0 and place == 0
                width, heads = (2 * width, 2 * heads) if halves else (width, heads)
                side = 0 if index in self.whole else self.sides[stage - 1 if halves else stage]
                index += 1
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x, width, heads, side, halves=halves)
            found.append(x)
        return found

    def _block(self, b: GraphBuilder, x: Tensor, width: int, heads: int, side: int, *, halves: bool) -> Tensor:
        y = layers.layer_norm(b, x, name="norm1", kept=True)
        if halves:
            x = _halved(b, layers.linear(b, y, width, name="projection"), "pooled")
        batch, height, across, _ = y.shape
        shape = (side, side) if side else (height, across)
        y = windows.partitioned(b, y, side) if side else b.add(Reshape((batch, height * across, -1)), y)
        y = self._attend(b, y, width, heads, shape, halves=halves)
        y = windows.gathered(b, y, side >> halves, *x.shape[1:3]) if side else b.add(Reshape(x.shape), y)
        x = layers.add(b, x, y)
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), 4 * width)
        return layers.add(b, x, y, name="add2")

    def _attend(
        self, b: GraphBuilder, x: Tensor, width: int, heads: int, shape: tuple[int, int], *, halves: bool
    ) -> Tensor:
        with b.scope("attention"):
            joint = layers.linear(b, x, 3 * width, name="qkv")
            q, k, v = b.add_all(Split(-1, (width, width, width)), joint)
            if halves:
                q = _halved(b, b.add(Reshape((q.shape[0], *shape, width)), q), "q_pooled")
                q = b.add(Reshape((q.shape[0], -1, width)), q)
            q, k, v = (layers.split_heads(b, part, heads, name=n) for part, n in zip((q, k, v), "qkv", strict=True))
            y = layers.merge_heads(b, image_layers.fused_attention(b, q, k, v))
            return layers.linear(b, y, width, name="out")


def _halved(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return b.add(_TO_LAST, layers.pool(b, b.add(_TO_SECOND, x), "max", 2, name=name))


_BASE = SegmentAnything(depth=12, width=768, heads=12, whole=(2, 5, 8, 11))
_SAM: Mapping[str, tuple[SegmentAnything, int]] = MappingProxyType(
    {
        "samvit_base_patch16": (_BASE, 1024),
        "samvit_large_patch16": (SegmentAnything(depth=24, width=1024, heads=16, whole=(5, 11, 17, 23)), 1024),
        "samvit_huge_patch16": (SegmentAnything(depth=32, width=1280, heads=16, whole=(7, 15, 23, 31)), 1024),
        "samvit_base_patch16_224": (replace(_BASE, neck=0), 224),
    }
)
_SMALL = HieraDetector(depths=(1, 2, 11, 2), whole=(7, 10, 13))
_DETECTORS: Mapping[str, tuple[HieraDetector, int]] = MappingProxyType(
    {
        "sam2_hiera_tiny": (HieraDetector(depths=(1, 2, 7, 2), whole=(5, 7, 9)), 896),
        "sam2_hiera_small": (_SMALL, 896),
        "sam2_hiera_base_plus": (
            HieraDetector(depths=(2, 3, 16, 3), whole=(12, 16, 20), width=112, heads=2, places=14),
            896,
        ),
        "sam2_hiera_large": (
            HieraDetector(depths=(2, 6, 36, 4), whole=(23, 33, 43), width=144, heads=2, sides=(8, 4, 16, 8)),
            1024,
        ),
        "hieradet_small": (replace(_SMALL, sides=(8, 4, 16, 8), classified=True), 256),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(*_SAM[name]) if name in _SAM else None


def _find_detector(name: str) -> Sized | None:
    return Sized(*_DETECTORS[name]) if name in _DETECTORS else None


FAMILIES = (
    ImageFamily(
        name="samvit",
        title="vision transformer in windows",
        source="Kirillov et al. 2023, Segment Anything, appendix A; Li et al. 2022, ViTDet",
        examples=("samvit_base_patch16_224", "samvit_large_patch16", "samvit_base_patch16"),
        find=_find,
    ),
    ImageFamily(
        name="sam2 hiera",
        title="hierarchical vision transformer in windows",
        source="Ravi et al. 2024, SAM 2: Segment Anything in Images and Videos, appendix D.1",
        examples=("sam2_hiera_large", "hieradet_small", "sam2_hiera_tiny"),
        find=_find_detector,
    ),
)
