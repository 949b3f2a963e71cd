"""Swin transformers (Liu et al. 2021, Swin Transformer, Fig. 3) and V2 (Liu et al. 2022, Swin Transformer V2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.expand import Expand
from hwsim.operators.matmul import Matmul
from hwsim.operators.pad import Pad
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers, windows

__all__ = ["Swin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swin:
    """Blocks and heads of each stage; ``window``: side of a window in patches, of each stage if there are several.

    ``second``: V2, with cosine attention, biases from a small network and norms after each part. ``table``: that
    network sees each distance once (the published code), else every pair of positions. ``period``: one more norm
    after so many blocks of a stage (0: never), ``stage_norm``: one at its end. ``window`` of 0 is a window of
    1/32 of the image.
    """

    depths: tuple[int, int, int, int]
    width: int
    heads: tuple[int, int, int, int]
    window: int | tuple[int, ...] = 7
    second: bool = False
    table: bool = True
    meta: int = 512
    period: int = 0
    stage_norm: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.width, 4, stride=4, padding=0, name="patches")
        x = layers.layer_norm(b, b.add(Transpose((0, 2, 3, 1)), x), name="patch_norm")
        sides = self.window if isinstance(self.window, tuple) else (self.window or image.shape[2] // 32,) * 4
        for stage, (depth, heads) in enumerate(zip(self.depths, self.heads, strict=True)):
            with b.scope(f"stage{stage}"):
                x = self._merge(b, x) if stage else x
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x, heads, sides[stage], shifted=bool(place % 2))
                        if self.period and (place + 1) % self.period == 0:
                            x = layers.layer_norm(b, x, name="norm3")
                x = layers.layer_norm(b, x, name="stage_norm") if self.stage_norm else x
        x = layers.layer_norm(b, x, name="norm") if self.table or not self.second else x
        return layers.linear(b, b.add(ReduceAxes("mean", (1, 2)), x), classes, name="head")

    def _merge(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Four neighbouring patches become one of twice the width."""
        batch, height, width, channels = x.shape
        if height % 2 or width % 2:
            x = b.add(Pad(((0, 0), (0, height % 2), (0, width % 2), (0, 0))), x)
            height, width = x.shape[1:3]
        y = b.add(Reshape((batch, height // 2, 2, width // 2, 2, channels)), x)
        y = b.add(Transpose((0, 1, 3, 4, 2, 5)), y)
        y = b.add(Reshape((batch, height // 2, width // 2, 4 * channels)), y)
        after = self.second and self.table
        y = y if after else layers.layer_norm(b, y, name="merge_norm")
        y = layers.linear(b, y, 2 * channels, bias=False, name="merge")
        return layers.layer_norm(b, y, name="merge_norm") if after else y

    def _block(self, b: GraphBuilder, x: Tensor, heads: int, side: int, *, shifted: bool) -> Tensor:
        channels = x.shape[3]
        if self.second:
            x = layers.add(b, x, layers.layer_norm(b, self._windowed(b, x, heads, side, shifted), name="norm1"))
            y = layers.mlp(b, x, 4 * channels)
            return layers.add(b, x, layers.layer_norm(b, y, name="norm2"), name="add2")
        y = self._windowed(b, layers.layer_norm(b, x, name="norm1"), heads, side, shifted)
        x = layers.add(b, x, y)
        return layers.add(b, x, layers.mlp(b, layers.layer_norm(b, x, name="norm2"), 4 * channels), name="add2")

    def _windowed(self, b: GraphBuilder, x: Tensor, heads: int, side: int, shifted: bool) -> Tensor:
        """Attention within windows of side x side patches, of the image rolled by half a window where shifted."""
        _, height, width, _ = x.shape
        side = min(side, height, width)
        shifted = shifted and min(height, width) > side
        y = _rolled(b, x, side // 2, "roll") if shifted else x
        masked = math.ceil(height / side) * math.ceil(width / side) if shifted else 0
        y = self._attention(b, windows.partitioned(b, y, side), heads, side, masked)
        y = windows.gathered(b, y, side, height, width)
        return _rolled(b, y, -(side // 2), "unroll") if shifted else y

    def _attention(self, b: GraphBuilder, x: Tensor, heads: int, side: int, masked: int) -> Tensor:
        """``masked`` windows of an image have a mask of their own (0: none)."""
        count, seq, channels = x.shape
        with b.scope("attention"):
            qkv = layers.linear(b, x, 3 * channels, name="qkv")
            parts = b.add_all(Split(-1, (channels, channels, channels)), qkv, name="split")
            q, k, v = (layers.split_heads(b, t, heads, name=n) for t, n in zip(parts, "qkv", strict=True))
            bias = self._bias(b, heads, side)
            mask = b.state("mask", (1, masked, 1, seq, seq)) if masked else None
            if self.second:
                y = _cosine(b, q, k, v, bias, mask)
            else:
                if mask is not None:
                    shape = (count // masked, masked, heads, seq, seq)
                    whole = b.add(Reshape((count, heads, seq, seq)), b.add(Expand(shape), mask, name="expand_mask"))
                    bias = b.add(Add(), bias, whole, name="bias_and_mask")
                y = image_layers.fused_attention(b, q, k, v, bias)
            return layers.linear(b, layers.merge_heads(b, y), channels, name="out")

    def _bias(self, b: GraphBuilder, heads: int, side: int) -> Tensor:
        rows, seq = (2 * side - 1) ** 2, side * side
        if not self.second:
            return image_layers.position_bias(b, b.weight("table", (rows, heads)), seq)
        places = b.state("coordinates", (rows if self.table else seq * seq, 2))
        y = layers.activation(b, layers.linear(b, places, self.meta, name="meta0"), "relu")
        y = layers.linear(b, y, heads, bias=not self.table, name="meta1")
        if self.table:
            return layers.activation(b, image_layers.position_bias(b, y, seq), "sigmoid")
        return b.add(Reshape((1, heads, seq, seq)), b.add(Transpose((1, 0)), y))


def _rolled(b: GraphBuilder, x: Tensor, by: int, name: str) -> Tensor:
    """The image shifted cyclically along both axes, ``by`` patches towards the origin: one copy."""
    with b.scope(name):
        return b.add(Concat(1), b.add(Slice(1, by, None), x), b.add(Slice(1, 0, by), x), name="copy")


def _cosine(b: GraphBuilder, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
    """Attention by the angle between q and k, as kernels of its own (Liu et al. 2022, Swin V2, equation 2)."""
    count, heads, seq, _ = q.shape
    made = []
    for name, part in (("q", q), ("k", k)):
        length = b.add(ReduceAxes("l2", (3,), True), part, name=f"{name}_length")
        made.append(b.add(Div(), part, length, name=f"{name}_direction"))
    scores = b.add(Matmul(transpose_b=True), *made, name="scores")
    scores = layers.multiply(b, scores, b.weight("temperature", (heads, 1, 1)), name="scale")
    scores = layers.add(b, scores, bias, name="add_bias")
    if mask is not None:
        scores = b.add(Reshape((count // mask.shape[1], mask.shape[1], heads, seq, seq)), scores)
        scores = b.add(Reshape((count, heads, seq, seq)), layers.add(b, scores, mask, name="add_mask"))
    return b.add(Matmul(), b.add(Softmax(), scores), v, name="values")
