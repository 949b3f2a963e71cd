"""LeViTs (Graham et al. 2021, LeViT: a Vision Transformer in ConvNet's Clothing) by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "LeViT"]

_PIXELS_LAST = Transpose((0, 1, 3, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class LeViT:
    """Layers, width and heads of each stage, features of a key.

    ``conv``: layers are 1x1 convolutions on images instead of linear ones on sequences; ``halvings``: convolutions of
    stride 2 before the first stage; ``distilled``: the mean of two classifiers.
    """

    depths: tuple[int, int, int]
    widths: tuple[int, int, int]
    heads: tuple[int, int, int]
    key: int
    act: str = "hardswish"
    conv: bool = False
    halvings: int = 4
    distilled: bool = True

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for place in range(self.halvings):
            last = place == self.halvings - 1
            width = self.widths[0] >> (self.halvings - 1 - place)
            x = layers.conv_bn_act(b, x, width, 3, stride=2, act="" if last else self.act, name=f"stem{place}")
        side = (x.shape[2], x.shape[3])
        if not self.conv:
            x = b.add(Transpose((0, 2, 1)), b.add(Reshape((x.shape[0], x.shape[1], -1)), x))
        for stage, (depth, width, heads) in enumerate(zip(self.depths, self.widths, self.heads, strict=True)):
            if stage:
                with b.scope(f"down{stage}"):
                    x = self._attend(b, x, side, width, x.shape[1 if self.conv else 2] // self.key, 4, halved=True)
                    side = (-(-side[0] // 2), -(-side[1] // 2))
                    x = layers.add(b, x, self._mlp(b, x), name="add_mlp")
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    x = layers.add(b, x, self._attend(b, x, side, width, heads, 2), name="add_attention")
                    x = layers.add(b, x, self._mlp(b, x), name="add_mlp")
        y = layers.global_average(b, x) if self.conv else b.add(ReduceAxes("mean", (1,)), x)
        heads_ = range(2 if self.distilled else 1)
        made = [layers.linear(b, _norm(b, y, f"head_bn{place}"), classes, name=f"head{place}") for place in heads_]
        return (
            made[0]
            if not self.distilled
            else layers.multiply(b, layers.add(b, made[0], made[1]), b.state("half", (1,)))
        )

    def _layer(self, b: GraphBuilder, x: Tensor, width: int, name: str) -> Tensor:
        """A layer and batch normalisation."""
        if self.conv:
            return layers.conv_bn_act(b, x, width, 1, act="", name=name)
        return _norm(b, layers.linear(b, x, width, bias=False, name=name), f"{name}_bn")

    def _mlp(self, b: GraphBuilder, x: Tensor) -> Tensor:
        width = x.shape[1 if self.conv else 2]
        y = layers.activation(b, self._layer(b, x, 2 * width, "up"), self.act)
        return self._layer(b, y, width, "down")

    def _attend(
        self,
        b: GraphBuilder,
        x: Tensor,
        side: tuple[int, int],
        width: int,
        heads: int,
        ratio: int,
        *,
        halved: bool = False,
    ) -> Tensor:
        """Attention with biases by distance, as kernels of its own; ``halved``: every other position asks."""
        batch, (height, across), read, value = x.shape[0], side, self.key, self.key * ratio
        asking = (-(-height // 2), -(-across // 2)) if halved else side
        with b.scope("attention"):
            sizes = (read, value) if halved else (read, read, value)
            joint = self._layer(b, x, heads * sum(sizes), "qkv")
            parts = list(self._heads(b, joint, heads, sizes))
            if halved:
                q = self._layer(b, self._subsampled(b, x, side), heads * read, "q")
                parts = [*self._heads(b, q, heads, (read,)), *parts]
            q, k, v = parts
            scores = b.add(Matmul(transpose_b=True), q, k, name="scores")
            scores = layers.multiply(b, scores, b.state("factor", (1,)), name="scaled")
            b.weight("distances", (heads, height * across))
            bias = b.state("bias", (1, heads, asking[0] * asking[1], height * across))
            y = b.add(Matmul(), b.add(Softmax(), layers.add(b, scores, bias, name="biased")), v, name="values")
            if self.conv:
                y = b.add(Reshape((batch, heads * value, *asking)), b.add(_PIXELS_LAST, y))
            else:
                y = layers.merge_heads(b, y)
            return self._layer(b, layers.activation(b, y, self.act), width, "out")

    def _heads(self, b: GraphBuilder, joint: Tensor, heads: int, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
        """Parts of each head, (batch, heads, seq, dim)."""
        batch = joint.shape[0]
        if self.conv:
            split = b.add(Reshape((batch, heads, sum(sizes), -1)), joint)
            parts = b.add_all(Split(2, sizes), split) if len(sizes) > 1 else (split,)
            return tuple(b.add(_PIXELS_LAST, part) for part in parts)
        split = b.add(Reshape((batch, -1, heads, sum(sizes))), joint)
        parts = b.add_all(Split(3, sizes), split) if len(sizes) > 1 else (split,)
        return tuple(b.add(Transpose((0, 2, 1, 3)), part) for part in parts)

    def _subsampled(self, b: GraphBuilder, x: Tensor, side: tuple[int, int]) -> Tensor:
        if self.conv:
            return layers.pool(b, x, "average", 1, stride=2, name="subsample")
        batch, _, width = x.shape
        y = b.add(Reshape((batch, *side, width)), x)
        for axis in (1, 2):
            y = b.add(Slice(axis, 0, None, 2), y)
        return b.add(Reshape((batch, -1, width)), y)


def _norm(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Batch normalisation over the last axis."""
    flat = b.add(Reshape((-1, x.shape[-1])), x)
    return b.add(Reshape(x.shape), layers.batch_norm(b, flat, name=name))


_NETWORKS: Mapping[str, LeViT] = MappingProxyType(
    {
        "128s": LeViT(depths=(2, 3, 4), widths=(128, 256, 384), heads=(4, 6, 8), key=16),
        "128": LeViT(depths=(4, 4, 4), widths=(128, 256, 384), heads=(4, 8, 12), key=16),
        "192": LeViT(depths=(4, 4, 4), widths=(192, 288, 384), heads=(3, 5, 6), key=32),
        "256": LeViT(depths=(4, 4, 4), widths=(256, 384, 512), heads=(4, 6, 8), key=32),
        "384": LeViT(depths=(4, 4, 4), widths=(384, 512, 768), heads=(6, 9, 12), key=32),
        "512": LeViT(depths=(4, 4, 4), widths=(512, 768, 1024), heads=(8, 12, 16), key=64, act="silu", distilled=False),
        "384_s8": LeViT(depths=(4, 4, 4), widths=(384, 512, 768), heads=(6, 9, 12), key=32, act="silu", halvings=3),
        "512_s8": LeViT(
            depths=(4, 4, 4), widths=(512, 640, 896), heads=(8, 10, 14), key=64, act="silu", distilled=False, halvings=3
        ),
        "256d": LeViT(depths=(4, 8, 6), widths=(256, 384, 512), heads=(4, 6, 8), key=32, act="silu", distilled=False),
        "512d": LeViT(depths=(4, 8, 6), widths=(512, 640, 768), heads=(8, 10, 12), key=64, act="silu", distilled=False),
    }
)
"""Graham et al. 2021, Table 2; the others timm's."""


def _find(name: str) -> Sized | None:
    found = re.match(r"levit_(conv_)?(\d{3}(?:s|d|_s8)?)$", name)
    if found is None or found[2] not in _NETWORKS:
        return None
    return Sized(replace(_NETWORKS[found[2]], conv=bool(found[1])))


FAMILIES = (
    ImageFamily(
        name="levit",
        title="attention in a convolutional pyramid",
        source="Graham et al. 2021, LeViT: a Vision Transformer in ConvNet's Clothing, Table 2",
        examples=("levit_128s", "levit_conv_384", "levit_512_s8"),
        find=_find,
    ),
)
