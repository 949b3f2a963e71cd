"""MaxViT and CoAtNet: convolution blocks, attention over whole images, windows and grids.

Sources: Tu et al. 2022, MaxViT: Multi-Axis Vision Transformer, section 3; Dai et al. 2021, CoAtNet, section 2; layers
as timm (R. Wightman, PyTorch Image Models) has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers

__all__ = ["MaxViT"]

_TO_LAST = Transpose((0, 2, 3, 1))
_TO_SECOND = Transpose((0, 3, 1, 2))
_HEAD = 32
_SHARE = 32
"""Channels of a head; a window or grid is so much smaller than the image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxViT:
    """Blocks and width of each stage; ``blocks`` names their kinds, the last of a stage repeats.

    "C": convolutions, "T": attention over the image, "M": convolutions, windows, a grid. ``stem``: channels of its two
    convolutions. ``next``: ConvNeXt's blocks instead of inverted residuals. ``outer``: inner widths follow from what a
    block makes. ``pooled``: strides are pools in front instead of the depthwise convolution. ``early``: the gate (of
    ``squeeze`` of the width, with ``gate_act``) comes before the norm. ``first_act``: activation behind the first norm.
    ``biased``: biases of shortcuts and last convolutions, ``attended_bias``: of the shortcuts of attention.
    ``meta``: width of the network that makes position biases (0: a table). ``scaled``: layer scale of attention and of
    ConvNeXt's blocks. ``plain_norm``: batch norms before attention. ``grid_only``: no windows. ``same``: TensorFlow's
    padding. ``hidden``: a layer of that width before the last. ``max_pool``: 3x3 maxima instead of 2x2 means.
    """

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    blocks: tuple[str, str, str, str] = ("M", "M", "M", "M")
    stem: tuple[int, int]
    stem_bias: bool = False
    next: bool = False
    outer: bool = False
    pooled: bool = False
    early: bool = False
    squeeze: float = 0.25
    gate_act: str = "silu"
    act: str = "silu"
    inner_act: str = "gelu"
    first_act: bool = False
    biased: bool = True
    attended_bias: bool = True
    meta: int = 0
    scaled: tuple[bool, bool] = (False, False)
    plain_norm: bool = False
    grid_only: bool = False
    same: bool = False
    hidden: int = 0
    max_pool: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._conv(b, image, self.stem[0], 3, stride=2, bias=self.stem_bias, name="stem0")
        x = self._normed(b, x, "stem_norm", self.act)
        x = self._conv(b, x, self.stem[1], 3, bias=self.stem_bias, name="stem1")
        side = (image.shape[2] // _SHARE, image.shape[3] // _SHARE)
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            kinds = self.blocks[stage]
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    kind = kinds[min(place, len(kinds) - 1)]
                    x = self._block(b, x, width, 1 if place else 2, kind, side)
        return self._classify(b, x, classes)

    def _classify(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        if self.hidden:
            y = layers.layer_norm(b, layers.global_average(b, x), name="norm", kept=True)
            y = layers.activation(b, layers.linear(b, y, self.hidden, name="hidden"), "tanh")
        else:
            y = layers.global_average(b, self._attention_norm(b, x, "norm"))
        return layers.linear(b, y, classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int, kind: str, side: tuple[int, int]) -> Tensor:
        if kind == "T":
            return self._transformer(b, x, width, stride)
        x = self._next_block(b, x, width, stride) if self.next else self._inverted(b, x, width, stride)
        if kind == "C":
            return x
        y = b.add(_TO_LAST, x)
        for name in ("grid",) if self.grid_only else ("window", "grid"):
            with b.scope(name):
                y = self._partitioned(b, y, side, grid=name == "grid")
        return b.add(_TO_SECOND, y)

    def _inverted(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        shortcut = self._halved(b, x, width, bias=self.biased, name="shortcut") if stride > 1 else x
        inner = 4 * (width if self.outer else x.shape[1])
        squeezed = int(self.squeeze * (width if self.outer else inner))
        y = self._normed(b, x, "pre_norm", self.act if self.first_act else "")
        if self.pooled and stride > 1:
            y, stride = layers.pool(b, y, "average", 2, name="down"), 1
        y = self._normed(b, layers.conv(b, y, inner, 1, bias=False, name="expand"), "norm1", self.act)
        y = self._conv(b, y, inner, 3, stride=stride, groups=inner, name="depthwise")
        if self.early:
            y = layers.squeeze_excite(b, y, squeezed, act=self.gate_act, gate="sigmoid")
        y = self._normed(b, y, "norm2", self.act)
        if not self.early:
            y = layers.squeeze_excite(b, y, squeezed, act=self.gate_act, gate="sigmoid")
        return layers.add(b, layers.conv(b, y, width, 1, bias=self.biased, name="project"), shortcut)

    def _next_block(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        shortcut = self._halved(b, x, width, bias=True, name="shortcut") if stride > 1 else x
        y = layers.conv(b, x, width, 7, stride=stride, groups=x.shape[1], name="depthwise")
        y = layers.activation(
            b, layers.conv(b, image_layers.channel_norm(b, y, "norm"), 4 * width, 1, name="up"), "gelu"
        )
        y = layers.conv(b, y, width, 1, name="down")
        y = layers.multiply(b, y, b.weight("scale", (width, 1, 1)), name="layer_scale") if self.scaled[0] else y
        return layers.add(b, y, shortcut)

    def _transformer(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """Attention over all positions, as 1x1 convolutions around a fused kernel."""
        shortcut, y = x, self._attention_norm(b, x, "norm1")
        if stride > 1:
            shortcut = self._halved(b, x, width, bias=self.attended_bias, name="shortcut")
            y = self._halved(b, y, x.shape[1], bias=True, name="down")
        batch, read, height, wide = y.shape
        inner = width if self.outer else read
        qkv = layers.conv(b, y, 3 * inner, 1, name="qkv")
        seq = height * wide
        if self.outer:
            parts = b.add_all(Split(1, (1, 1, 1)), b.add(Reshape((batch, 3, inner // _HEAD, _HEAD, seq)), qkv))
            parts = tuple(b.add(Reshape((batch, inner // _HEAD, _HEAD, seq)), part) for part in parts)
        else:
            joint = b.add(Reshape((batch, inner // _HEAD, 3 * _HEAD, seq)), qkv)
            parts = tuple(b.add_all(Split(2, (_HEAD, _HEAD, _HEAD)), joint))
        q, k, v = (b.add(Transpose((0, 1, 3, 2)), part) for part in parts)
        y = image_layers.fused_attention(b, q, k, v, self._bias(b, (height, wide), inner // _HEAD))
        y = b.add(Reshape((batch, inner, height, wide)), b.add(Transpose((0, 1, 3, 2)), y))
        y = self._scale(b, layers.conv(b, y, width, 1, name="out"), (width, 1, 1), "1")
        x = layers.add(b, shortcut, y)
        y = layers.conv(b, self._attention_norm(b, x, "norm2"), 4 * width, 1, name="up")
        y = layers.conv(b, layers.activation(b, y, self.inner_act), width, 1, name="mlp_down")
        return layers.add(b, x, self._scale(b, y, (width, 1, 1), "2"), name="add2")

    def _partitioned(self, b: GraphBuilder, x: Tensor, side: tuple[int, int], *, grid: bool) -> Tensor:
        """Attention in windows of neighbours, or among positions a window apart; then a perceptron."""
        batch, height, width, channels = x.shape
        down, across = height // side[0], width // side[1]
        y = layers.layer_norm(b, x, name="norm1", kept=True)
        if grid:
            y = b.add(Reshape((batch, side[0], down, side[1], across, channels)), y)
            y = b.add(Transpose((0, 2, 4, 1, 3, 5)), y, name="partition")
        else:
            y = b.add(Reshape((batch, down, side[0], across, side[1], channels)), y)
            y = b.add(Transpose((0, 1, 3, 2, 4, 5)), y, name="partition")
        seq, heads = side[0] * side[1], channels // _HEAD
        y = layers.linear(b, b.add(Reshape((batch * down * across, seq, channels)), y), 3 * channels, name="qkv")
        q, k, v = self._heads(b, y, heads)
        y = image_layers.fused_attention(b, q, k, v, self._bias(b, side, heads))
        y = layers.linear(b, layers.merge_heads(b, y), channels, name="out")
        y = b.add(Reshape((batch, down, across, *side, channels)), y)
        y = b.add(Transpose((0, 3, 1, 4, 2, 5) if grid else (0, 1, 3, 2, 4, 5)), y, name="gather")
        y = b.add(Reshape((batch, height, width, channels)), y)
        x = layers.add(b, x, self._scale(b, y, (channels,), "1"))
        y = layers.mlp(b, layers.layer_norm(b, x, name="norm2", kept=True), 4 * channels, act=self.inner_act)
        return layers.add(b, x, self._scale(b, y, (channels,), "2"), name="add2")

    def _heads(self, b: GraphBuilder, qkv: Tensor, heads: int) -> tuple[Tensor, ...]:
        """Q, k and v, each (windows, heads, seq, dim): side by side in each head, or head by head in each."""
        windows, seq, width = qkv.shape
        if self.outer:
            parts = b.add_all(Split(-1, (width // 3, width // 3, width // 3)), qkv)
            return tuple(layers.split_heads(b, t, heads, name=n) for t, n in zip(parts, "qkv", strict=True))
        joint = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((windows, seq, heads, 3 * _HEAD)), qkv))
        return tuple(b.add_all(Split(-1, (_HEAD, _HEAD, _HEAD)), joint))

    def _bias(self, b: GraphBuilder, side: tuple[int, int], heads: int) -> Tensor:
        rows = (2 * side[0] - 1) * (2 * side[1] - 1)
        with b.scope("bias"):
            if not self.meta:
                return image_layers.position_bias(b, b.weight("table", (rows, heads)), side[0] * side[1])
            y = layers.linear(b, b.state("coordinates", (rows, 2)), self.meta, name="meta0")
            y = layers.linear(b, layers.activation(b, y, "relu"), heads, name="meta1")
            return image_layers.position_bias(b, y, side[0] * side[1])

    def _scale(self, b: GraphBuilder, y: Tensor, shape: tuple[int, ...], end: str) -> Tensor:
        return layers.multiply(b, y, b.weight(f"scale{end}", shape), name=f"scaled{end}") if self.scaled[1] else y

    def _halved(self, b: GraphBuilder, x: Tensor, width: int, *, bias: bool, name: str) -> Tensor:
        if self.max_pool:
            x = layers.pool(b, x, "max", 3, stride=2, padding=1, name=f"{name}_pool")
        else:
            x = layers.pool(b, x, "average", 2, name=f"{name}_pool")
        return x if x.shape[1] == width else layers.conv(b, x, width, 1, bias=bias, name=name)

    def _normed(self, b: GraphBuilder, x: Tensor, name: str, act: str) -> Tensor:
        y = image_layers.channel_norm(b, x, name) if self.next else layers.batch_norm(b, x, name=name)
        return layers.activation(b, y, act, name=f"{name}_act")

    def _attention_norm(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        return layers.batch_norm(b, x, name=name) if self.plain_norm else image_layers.channel_norm(b, x, name)

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        name: str,
    ) -> Tensor:
        padding = None
        if self.same and stride > 1:
            x, padding = image_layers.same_padding(b, x, kernel, stride, name), 0
        return layers.conv(b, x, channels, kernel, stride=stride, padding=padding, groups=groups, bias=bias, name=name)
