"""MViTs of the second version (Li et al. 2022, MViTv2) by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.distances import axis_scores

__all__ = ["FAMILIES", "MultiscaleViT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiscaleViT:
    """Blocks of each stage, width and heads of the first (Li et al. 2022, Table 1).

    ``early``: widths double in the attention of a stage's first block, not in the perceptron of its last. ``token``:
    classes are those of a class token, not of the mean.
    """

    depths: tuple[int, int, int, int]
    width: int = 96
    heads: int = 1
    early: bool = True
    token: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, 7, stride=4, padding=3, name="patches")
        batch, width, *side = x.shape
        x = image_layers.to_sequence(b, x)
        if self.token:
            token = b.weight("class_token", (1, 1, width))
            token = b.add(Expand((batch, 1, width)), token) if batch > 1 else token
            x = b.add(Concat(1), token, x)
        size = (side[0], side[1])
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                wide = self.width << stage
                ahead = not self.early and place == depth - 1 and stage < 3
                with b.scope(f"stage{stage}.{place}"):
                    strided = stage > 0 and place == 0
                    x = self._block(b, x, stage, size, wide, 2 * wide if ahead else wide, strided=strided)
                size = (size[0] // 2, size[1] // 2) if strided else size
        x = layers.layer_norm(b, x, kept=True)
        y = b.add(ReduceAxes("mean", (1,)), x)
        if self.token:
            y = b.add(Reshape((batch, x.shape[2])), b.add(Slice(1, 0, 1), x))
        return layers.linear(b, y, classes, name="head")

    def _block(
        self, b: GraphBuilder, x: Tensor, stage: int, size: tuple[int, int], inner: int, width: int, *, strided: bool
    ) -> Tensor:
        y = layers.layer_norm(b, x, name="norm1", kept=True)
        shortcut = layers.linear(b, y, inner, name="shortcut") if x.shape[2] != inner else x
        if strided:
            shortcut = self._pooled(b, shortcut, size)
        x = layers.add(b, shortcut, self._attend(b, y, stage, size, inner, strided=strided))
        y = layers.layer_norm(b, x, name="norm2", kept=True)
        shortcut = layers.linear(b, y, width, name="shortcut2") if width != inner else x
        with b.scope("mlp"):
            hidden = layers.activation(b, layers.linear(b, y, 4 * inner, name="up"), "gelu")
            y = layers.linear(b, hidden, width, name="down")
        return layers.add(b, shortcut, y, name="add2")

    def _pooled(self, b: GraphBuilder, x: Tensor, size: tuple[int, int]) -> Tensor:
        batch, _, width = x.shape
        patches = b.add(Slice(1, 1, None), x) if self.token else x
        y = b.add(Transpose((0, 3, 1, 2), copied=True), b.add(Reshape((batch, *size, width)), patches))
        y = layers.pool(b, y, "max", 3, stride=2, padding=1, name="shortcut_pool")
        y = image_layers.to_sequence(b, y)
        return b.add(Concat(1), b.add(Slice(1, 0, 1), x), y) if self.token else y

    def _attend(
        self, b: GraphBuilder, x: Tensor, stage: int, size: tuple[int, int], width: int, *, strided: bool
    ) -> Tensor:
        """Attention whose parts pass depthwise convolutions first, kernel by kernel (Li et al. 2022, Fig. 2)."""
        batch, seq, _ = x.shape
        heads = self.heads << stage
        dim, step = width // heads, 2 if strided else 1
        with b.scope("attention"):
            joint = b.add(Reshape((batch, seq, 3, heads, dim)), layers.linear(b, x, 3 * width, name="qkv"))
            joint = b.add(Transpose((2, 0, 3, 1, 4)), joint, name="parts_first")
            strides = (step, 4 >> stage if stage < 3 else 1, 4 >> stage if stage < 3 else 1)
            q, k, v = (
                self._walked(b, b.add(Reshape((batch, heads, seq, dim)), part), size, stride, name)
                for part, stride, name in zip(b.add_all(Split(0, (1, 1, 1)), joint), strides, "qkv", strict=True)
            )
            asked, seen = ((size[0] // s, size[1] // s) for s in strides[:2])
            scores = b.add(Mul(dim**-0.5), q, name="scaled")
            scores = b.add(Matmul(transpose_b=True), scores, k, name="scores")
            scores = self._placed(b, scores, q, asked, seen)
            y = layers.add(b, b.add(Matmul(), b.add(Softmax(), scores), v, name="values"), q, name="with_q")
            return layers.linear(b, layers.merge_heads(b, y), width, name="out")

    def _walked(self, b: GraphBuilder, x: Tensor, size: tuple[int, int], stride: int, name: str) -> Tensor:
        batch, heads, _, dim = x.shape
        with b.scope(name):
            patches = b.add(Slice(2, 1, None), x) if self.token else x
            y = b.add(Reshape((batch * heads, *size, dim)), patches)
            y = b.add(Transpose((0, 3, 1, 2), copied=True), y, name="image")
            y = layers.conv(b, y, dim, 3, stride=stride, groups=dim, bias=False, name="pool")
            y = b.add(Reshape((batch, heads, -1, dim)), image_layers.to_sequence(b, y))
            y = b.add(Concat(2), b.add(Slice(2, 0, 1), x), y) if self.token else y
            return layers.layer_norm(b, y, kept=True)

    def _placed(
        self, b: GraphBuilder, scores: Tensor, q: Tensor, asked: tuple[int, int], seen: tuple[int, int]
    ) -> Tensor:
        """Scores with those of distances, written back in place."""
        batch, heads, _, dim = q.shape
        patches = b.add(Slice(2, 1, None), q) if self.token else q
        down, across = axis_scores(b, b.add(Reshape((batch * heads, *asked, dim)), patches), seen)
        inner = b.add(Slice(3, 1, None), b.add(Slice(2, 1, None), scores)) if self.token else scores
        y = b.add(Reshape((batch * heads, *asked, *seen)), inner)
        y = layers.add(b, layers.add(b, y, down, name="with_rows"), across, name="with_columns")
        y = b.add(Reshape((batch, heads, asked[0] * asked[1], seen[0] * seen[1])), y)
        if not self.token:
            return b.add(Transpose((0, 1, 2, 3), copied=True), y, name="back_in_place")
        first, rest = b.add(Slice(2, 0, 1), scores), b.add(Slice(3, 0, 1), b.add(Slice(2, 1, None), scores))
        return b.add(Concat(2), first, b.add(Concat(3), rest, y, name="beside"), name="back_in_place")


_NETWORKS: Mapping[str, MultiscaleViT] = MappingProxyType(
    {
        "tiny": MultiscaleViT(depths=(1, 2, 5, 2)),
        "small": MultiscaleViT(depths=(1, 2, 11, 2)),
        "base": MultiscaleViT(depths=(2, 3, 16, 3)),
        "large": MultiscaleViT(depths=(2, 6, 36, 4), width=144, heads=2, early=False),
        "small_cls": MultiscaleViT(depths=(1, 2, 11, 2), token=True),
        "base_cls": MultiscaleViT(depths=(2, 3, 16, 3), token=True),
        "large_cls": MultiscaleViT(depths=(2, 6, 36, 4), width=144, heads=2, token=True),
        "huge_cls": MultiscaleViT(depths=(4, 8, 60, 8), width=192, heads=3, token=True),
    }
)


def _find(name: str) -> Sized | None:
    found = re.match(r"mvitv2_(\w+)$", name)
    if found is None or found[1] not in _NETWORKS:
        return None
    return Sized(_NETWORKS[found[1]], labels=19_168 if found[1] in ("base_cls", "large_cls", "huge_cls") else 1000)


FAMILIES = (
    ImageFamily(
        name="mvitv2",
        title="vision transformer that pools queries and keys",
        source="Li et al. 2022, MViTv2: Improved Multiscale Vision Transformers, Table 1",
        examples=("mvitv2_base", "mvitv2_base_cls", "mvitv2_tiny"),
        find=_find,
    ),
)
