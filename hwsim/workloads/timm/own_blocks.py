"""Convolutional networks from a short list of blocks, a line of text for each stage.

The notation: kind of block, how many, then ``c256`` channels, ``s2`` stride of the first, ``g32`` channels of a group
(1: depthwise), ``r0.25`` inner width over the outer one. Kinds: "basic" two 3x3, "bottle" 1x1 3x3 1x1, "edge" 3x3 1x1,
"rep" 3x3 and 1x1 side by side, every other one in that many groups (Ding et al. 2021, RepVGG, Fig. 2), or one of the
``attended``: 1x1, what mixes positions, 1x1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.matmul import Matmul
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers

__all__ = ["OwnBlocks", "attention_pool", "global_context"]

_STAGE = re.compile(r"(\w+) (\d+) c(\d+)(?: s(\d))?(?: g(\d+))?(?: r([\d.]+))?$")


@dataclass(frozen=True, slots=True)
class _Block:
    kind: str
    channels: int
    stride: int
    group: int
    ratio: float

    def groups(self, channels: int) -> int:
        return channels // self.group if self.group else 1


def _parsed(text: str) -> tuple[_Block, int]:
    found = _STAGE.match(text)
    assert found is not None, text
    kind, count, channels, stride, group, ratio = found.groups()
    return _Block(kind, int(channels), int(stride or 1), int(group or 0), float(ratio or 1)), int(count)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBlocks:
    """Stages in the notation above.

    ``stem``: channels of its 3x3 convolutions, the last ``stem_acts`` of them normalised (0: all); ``pool``: what
    halves behind it ("max", "average", or none, then the last of several convolutions does). ``shortcut``: "conv",
    "average" (pooled first) or "" for none where the shape changes. ``gate``: "se" with the share ``squeeze``, "eca",
    "gc" or none. ``features``: width of a last 1x1 convolution. ``inward``: inner widths follow from what a block
    reads. ``bare``: no activation behind the sum. ``twice``: a second 3x3 in each bottleneck. ``soft``: strides are
    averages behind a convolution. ``norm_group``: EvoNorm over groups of so many channels. ``head``: "linear",
    "hidden" (a normalised layer of ``hidden`` first) or "attention" (CLIP). ``attended``: what mixes positions in
    blocks of that kind, given the stride. ``stem_kernel``: side of the stem's kernels.
    """

    stages: tuple[str, ...]
    stem: tuple[int, ...] = (32,)
    stem_acts: int = 0
    pool: str = ""
    shortcut: str = "conv"
    act: str = "relu"
    gate: str = ""
    squeeze: float = 1 / 16
    features: int = 0
    inward: bool = False
    bare: bool = False
    twice: bool = False
    soft: bool = False
    norm_group: int = 0
    head: str = "linear"
    hidden: int = 0
    width: float = 1.0
    attended: Mapping[str, Callable[[GraphBuilder, Tensor, int], Tensor]] = field(default_factory=dict)
    stem_kernel: int = 3

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._stem(b, image)
        for stage, text in enumerate(self.stages):
            block, count = _parsed(text)
            for place in range(count):
                with b.scope(f"stage{stage}.{place}"):
                    stride = block.stride if place == 0 else 1
                    if block.kind == "rep":
                        x = self._branches(b, x, block.channels, stride, block.group if place % 2 else 1)
                    else:
                        x = self._block(b, x, block, stride)
        if self.features:
            x = self._conv(b, x, self.features, 1, name="features")
        if self.head == "attention":
            return attention_pool(b, x, classes)
        y = layers.global_average(b, x)
        if self.head == "hidden":
            y = layers.flatten(b, layers.batch_norm(b, b.add(Reshape((*y.shape, 1, 1)), y), name="head_norm"))
            y = layers.activation(b, layers.linear(b, y, self.hidden, name="hidden"), self.act)
        return layers.linear(b, y, classes, name="head")

    def _stem(self, b: GraphBuilder, x: Tensor) -> Tensor:
        if self.stages[0].startswith("rep"):
            with b.scope("stem"):
                return self._branches(b, x, self.stem[0], 2, 1)
        last = len(self.stem) - 1
        for place, base in enumerate(self.stem):
            stride, channels = 2 if place == 0 or (place == last and not self.pool) else 1, round(base * self.width)
            if self.stem_acts and place < len(self.stem) - self.stem_acts:
                x = layers.conv(b, x, channels, 3, stride=stride, bias=False, name=f"stem{place}")
            else:
                x = self._conv(b, x, channels, self.stem_kernel, stride=stride, name=f"stem{place}")
        if self.pool == "max":
            return layers.pool(b, x, "max", 3, stride=2, padding=1, name="stem_pool")
        return layers.pool(b, x, "average", 2, name="stem_pool") if self.pool else x

    def _block(self, b: GraphBuilder, x: Tensor, block: _Block, stride: int) -> Tensor:
        channels = layers.divisible(block.channels * self.width)
        kinds: dict[str, Callable[[GraphBuilder, Tensor, _Block, int, int], Tensor]] = {
            "basic": self._basic,
            "bottle": self._bottle,
            "edge": self._edge,
        }
        y = kinds.get(block.kind, self._attentive)(b, x, block, channels, stride)
        if y.shape == x.shape:
            y = layers.add(b, y, x)
        elif self.shortcut:
            if self.shortcut == "average" and stride > 1:
                x, stride = layers.pool(b, x, "average", 2, ceil=True, name="downsample_pool"), 1
            y = layers.add(b, y, self._conv(b, x, channels, 1, stride=stride, act="", name="downsample"))
        return y if self.bare else layers.activation(b, y, self.act)

    def _basic(self, b: GraphBuilder, x: Tensor, block: _Block, channels: int, stride: int) -> Tensor:
        inner = layers.divisible(channels * block.ratio)
        y = self._conv(b, x, inner, 3, stride=stride, name="conv1")
        y = self._conv(b, y, channels, 3, groups=block.groups(inner), act="", name="conv2")
        return self._gated(b, y)

    def _bottle(self, b: GraphBuilder, x: Tensor, block: _Block, channels: int, stride: int) -> Tensor:
        inner = layers.divisible((x.shape[1] if self.inward else channels) * block.ratio)
        groups = block.groups(inner)
        y = self._conv(b, x, inner, 1, name="conv1")
        y = self._conv(b, y, inner, 3, stride=stride, groups=groups, name="conv2")
        y = self._conv(b, y, inner, 3, groups=groups, name="conv2b") if self.twice else y
        return self._conv(b, self._gated(b, y), channels, 1, act="", name="conv3")

    def _attentive(self, b: GraphBuilder, x: Tensor, block: _Block, channels: int, stride: int) -> Tensor:
        inner = layers.divisible((x.shape[1] if self.inward else channels) * block.ratio)
        y = self._conv(b, x, inner, 1, name="conv1")
        with b.scope(block.kind):
            y = self.attended[block.kind](b, y, stride)
        y = layers.activation(b, layers.batch_norm(b, y, name="attended_bn"), self.act)
        return self._conv(b, y, channels, 1, act="", name="conv3")

    def _edge(self, b: GraphBuilder, x: Tensor, block: _Block, channels: int, stride: int) -> Tensor:
        inner = layers.divisible(channels * block.ratio)
        y = self._conv(b, x, inner, 3, stride=stride, groups=block.groups(inner), name="conv1")
        return self._conv(b, self._gated(b, y), channels, 1, act="", name="conv2")

    def _branches(self, b: GraphBuilder, x: Tensor, channels: int, stride: int, groups: int) -> Tensor:
        """The branches of training, not yet merged into one convolution."""
        groups = max(groups, 1)
        y = layers.conv_bn_act(b, x, channels, 1, stride=stride, padding=0, groups=groups, act="", name="point")
        z = layers.conv_bn_act(b, x, channels, 3, stride=stride, groups=groups, act="", name="conv")
        y = layers.add(b, y, z, name="both")
        if y.shape == x.shape:
            y = layers.add(b, y, layers.batch_norm(b, x, name="identity"))
        return layers.activation(b, self._gated(b, y, divisor=1), self.act)

    def _gated(self, b: GraphBuilder, y: Tensor, divisor: int = 8) -> Tensor:
        if self.gate == "se":
            if divisor == 1:
                return layers.squeeze_excite(b, y, int(y.shape[1] * self.squeeze), act="relu", gate="sigmoid")
            return image_layers.channel_gate(b, y, self.squeeze)
        if self.gate == "gc":
            return global_context(b, y)
        return image_layers.efficient_gate(b, y) if self.gate == "eca" else y

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        act: str | None = None,
        name: str,
    ) -> Tensor:
        act = self.act if act is None else act
        soft = self.soft and stride > 1 and not name.startswith("stem")
        own = 1 if soft else stride
        if self.norm_group:
            x = layers.conv(b, x, channels, kernel, stride=own, groups=groups, bias=False, name=name)
            return image_layers.evo_norm(b, x, self.norm_group, gated=bool(act), name=f"{name}_norm")
        x = layers.conv_bn_act(b, x, channels, kernel, stride=own, groups=groups, act=act, name=name)
        return layers.pool(b, x, "average", 2, stride=stride, name=f"{name}_pool") if soft else x


def global_context(b: GraphBuilder, x: Tensor, squeezed: int = 0, act: str = "relu") -> Tensor:
    """X plus what a small network makes of its mean under learned weights (Cao et al. 2019, GCNet, Fig. 4d)."""
    batch, channels, height, width = x.shape
    with b.scope("context"):
        weights = b.add(Reshape((batch, 1, height * width, 1)), layers.conv(b, x, 1, 1, name="weights"))
        weights = b.add(Softmax(axis=2), weights)
        flat = b.add(Reshape((batch, 1, channels, height * width)), x)
        y = b.add(Reshape((batch, channels, 1, 1)), b.add(Matmul(), flat, weights))
        y = image_layers.channel_norm(b, layers.conv(b, y, squeezed or channels // 8, 1, name="reduce"), "norm")
        y = layers.conv(b, layers.activation(b, y, act), channels, 1, name="expand")
        return layers.add(b, x, y, name="added")


def attention_pool(b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
    """(batch, classes): what the mean of all positions attends to (Radford et al. 2021, CLIP, section 2.4)."""
    batch, channels, height, width = x.shape
    with b.scope("pool"):
        x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, channels, height * width)), x))
        x = b.add(Concat(1), b.add(ReduceAxes("mean", (1,), True), x), x)
        x = layers.add(b, x, b.weight("positions", (1, *x.shape[1:])))
        heads = channels // 64
        parts = [layers.linear(b, x, channels, name=name) for name in "qkv"]
        q, k, v = (layers.split_heads(b, part, heads, name=f"{n}_heads") for part, n in zip(parts, "qkv", strict=True))
        y = layers.merge_heads(b, image_layers.fused_attention(b, q, k, v))
        y = layers.linear(b, y, classes, name="out")
        return b.add(Reshape((batch, classes)), b.add(Slice(1, 0, 1), y))
