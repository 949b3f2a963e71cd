"""Networks of inverted residuals, written as lines of blocks: MobileNets, MnasNets, EfficientNets and their kin.

A stage is a text of blocks separated by ``;``, a block a kind, how often it repeats, and its numbers, e.g.
``"ir 2 k3 s2 e6 c24 se0.25"``: two inverted residuals of kernel 3, the first with stride 2, expansion 6, 24 channels,
squeeze-and-excite to a quarter. Kinds: ``cn`` convolution, ``ds`` depthwise and pointwise, ``ir`` inverted residual
(Sandler et al. 2018, MobileNetV2, Fig. 3), ``er`` the same with a full convolution for its first two (Gupta and Tan
2019, EfficientNet-EdgeTPU), ``uir`` with a depthwise convolution ``a`` in front and ``k`` in the middle, either of
which may be 0, ``cc`` an inverted residual whose weights mix ``x`` experts for each image (Yang et al. 2019, CondConv,
equation 1), and ``mqa`` multi-query attention over positions (Qin et al. 2024, MobileNetV4, sections 3 and 4).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.attention import Attention
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.image_layers import mixed_conv, rounded
from hwsim.workloads.timm.own_blocks import global_context

__all__ = ["Block", "InvertedResiduals", "parse_stage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One kind of block: see the module; several ``kernels`` share the channels of a depthwise convolution."""

    kind: str
    count: int
    kernels: tuple[int, ...] = (3,)
    before: int = 0
    stride: int = 1
    expansion: float = 1.0
    channels: int = 0
    squeeze: float = 0.0
    act: str = ""
    group: int = 0
    forced: int = 0
    heads: int = 0
    head_dim: int = 0
    kv_stride: int = 1
    experts: int = 0
    skip: bool = True
    parts: tuple[int, int] = (1, 1)


_TOKEN = re.compile(r"(se|gs|fc|[kascehdvpx])([\d.]+)$")
_NUMBERS = {"a": "before", "s": "stride", "c": "channels", "gs": "group", "fc": "forced"}
_NUMBERS |= {"h": "heads", "d": "head_dim", "v": "kv_stride", "x": "experts"}
_RATIOS = {"e": "expansion", "se": "squeeze"}


def parse_stage(text: str) -> tuple[Block, ...]:
    """The blocks that a text stands for.

    >>> parse_stage("ir 2 k3 s2 e6 c24")[0].channels
    24
    """
    return tuple(_parse_block(part.split()) for part in text.split(";"))


def _parse_block(words: Sequence[str]) -> Block:
    values: dict[str, object] = {"kind": words[0], "count": int(words[1]), "skip": words[0] != "cn"}
    for word in words[2:]:
        found = _TOKEN.match(word)
        if found is None:
            values |= {"skip": word == "skip"} if word.endswith("skip") else {"act": word}
        elif found[1] == "k":
            values["kernels"] = tuple(int(k) for k in found[2].split("."))
        elif found[1] == "p":
            first, second = found[2].split(".")
            values["parts"] = (int(first), int(second))
        elif found[1] in _RATIOS:
            values[_RATIOS[found[1]]] = float(found[2])
        else:
            values[_NUMBERS[found[1]]] = int(found[2])
    return Block(**values)  # type: ignore[arg-type]


def _repeats(blocks: Sequence[Block], depth: float, *, nearest: bool) -> list[int]:
    """How often each block of a stage repeats once the stage is ``depth`` times as deep, shared out from the end."""
    total = sum(block.count for block in blocks)
    scaled = max(1, round(total * depth)) if nearest else math.ceil(total * depth)
    counts = []
    for block in reversed(blocks):
        mine = max(1, round(block.count / total * scaled))
        counts.append(mine)
        total, scaled = total - block.count, scaled - mine
    return counts[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class InvertedResiduals:
    """Stages of blocks, widened and deepened.

    ``head`` says where the last layer of ``features`` comes: "conv" before the mean over positions, "pooled" after it
    with a bias, "pooled_norm" after it with normalisation, "none" not at all. ``fixed`` leaves the stem and the depth
    of the first and last stage as they are. ``squeeze`` names what squeeze-and-excite is like: (activation or "" for
    the block's own, gate, whether its width is rounded, whether it follows from the expanded width).
    """

    stages: tuple[str, ...]
    width: float = 1.0
    depths: tuple[float, ...] = (1.0,)
    nearest_depth: bool = False
    stem: int = 32
    stem_kernel: int = 3
    features: int = 1280
    grow_features: bool = False
    head: str = "conv"
    act: str = "relu"
    squeeze: tuple[str, str, bool, bool] = ("", "sigmoid", False, False)
    fixed: bool = False
    fixed_stem: bool = False
    same: bool = False
    divisor: int = 8
    limit: float = 0.9
    group_size: int = 1
    norm_group: int = 0
    blur: int = 0
    average_stride: bool = False
    layer_scale: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        stem = self.stem if self.fixed or self.fixed_stem else self.rounded_channels(self.stem)
        x = self._conv(b, image, stem, self.stem_kernel, stride=2, act=self.act, name="stem")
        for stage, text in enumerate(self.stages):
            blocks = parse_stage(text)
            depth = self.depths[stage % len(self.depths)]
            edge = self.fixed and stage in (0, len(self.stages) - 1)
            place = 0
            for block, count in zip(
                blocks, _repeats(blocks, 1.0 if edge else depth, nearest=self.nearest_depth), strict=True
            ):
                for again in range(count):
                    with b.scope(f"stage{stage}.{place}"):
                        stride = 1 if again and place else block.stride
                        x = self._block(b, x, block, stride if place == 0 or not again else 1)
                    place += 1
        return self._classify(b, x, classes)

    def rounded_channels(self, base: float) -> int:
        """Channels of the widened network for so many of the base."""
        return rounded(base * self.width, divisor=self.divisor, limit=self.limit)

    def _classify(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        features = max(self.features, self.rounded_channels(self.features)) if self.grow_features else self.features
        if self.head == "conv":
            x = self._conv(b, x, features, 1, act=self.act, name="head")
        y = layers.global_average(b, x)
        if self.head.startswith("pooled"):
            y = b.add(Reshape((*y.shape, 1, 1)), y)
            if self.head == "pooled_norm":
                y = self._conv(b, y, features, 1, act=self.act, name="head")
            else:
                y = layers.activation(
                    b, layers.conv(b, y, features, 1, bias=self.head == "pooled", name="head"), self.act
                )
            y = layers.flatten(b, y)
        return layers.linear(b, y, classes, name="classifier")

    def _block(self, b: GraphBuilder, x: Tensor, block: Block, stride: int) -> Tensor:
        channels = self.rounded_channels(block.channels)
        kinds: dict[str, Callable[[GraphBuilder, Tensor, Block, int, int], Tensor]] = {
            "cn": self._plain,
            "ds": self._separable,
            "dsa": self._separable,
            "ir": self._inverted,
            "er": self._edge,
            "cc": self._mixed,
            "uir": self._universal,
            "mqa": self._query,
        }
        y = kinds[block.kind](b, x, block, channels, stride)
        if self.layer_scale and block.kind in ("uir", "mqa"):
            y = layers.multiply(b, y, b.weight("scale", (channels, 1, 1)), name="layer_scale")
        return layers.add(b, y, x) if block.skip and stride == 1 and y.shape == x.shape else y

    def _plain(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        act = block.act or self.act
        return self._softened(b, x, channels, block.kernels[0], stride, act=act, name="conv")

    def _separable(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        y = self._depthwise(b, x, block, stride)
        y = self._excited(b, y, block)
        act = (block.act or self.act) if block.kind == "dsa" else ""
        return self._conv(b, y, channels, 1, act=act, name="project")

    def _inverted(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        hidden = rounded(x.shape[1] * block.expansion)
        y = self._pointwise(b, x, hidden, block.parts[0], act=block.act or self.act, name="expand")
        y = self._depthwise(b, y, block, stride)
        y = self._excited(b, y, block)
        return self._pointwise(b, y, channels, block.parts[1], act="", name="project")

    def _mixed(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        """The experts' shares come from the means of x."""
        act, hidden = block.act or self.act, rounded(x.shape[1] * block.expansion)
        shares = layers.linear(b, layers.global_average(b, x), block.experts, name="shares")
        shares = layers.activation(b, shares, "sigmoid")
        y = mixed_conv(b, x, shares, hidden, 1, name="expand")
        y = layers.activation(b, self._norm(b, y, "expand_norm"), act)
        y = mixed_conv(b, y, shares, hidden, block.kernels[0], stride=stride, groups=hidden, name="depthwise")
        y = self._excited(b, layers.activation(b, self._norm(b, y, "depthwise_norm"), act), block)
        return self._norm(b, mixed_conv(b, y, shares, channels, 1, name="project"), "project_norm")

    def _edge(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        base = self.rounded_channels(block.forced) if block.forced else x.shape[1]
        hidden = rounded(base * block.expansion)
        act = block.act or self.act
        groups = hidden // block.group if block.group else 1
        y = self._softened(b, x, hidden, block.kernels[0], stride, groups=groups, act=act, name="expand")
        y = self._excited(b, y, block)
        return self._conv(b, y, channels, 1, act="", name="project")

    def _universal(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        middle = block.kernels[0]
        hidden = rounded(x.shape[1] * block.expansion)
        y = x
        if block.before:
            first = 1 if middle else stride
            y = self._grouped(b, y, block.before, first, act="", name="before")
        y = self._conv(b, y, hidden, 1, act=self.act, name="expand")
        if middle:
            y = self._grouped(b, y, middle, stride, act=self.act, name="depthwise")
        return self._conv(b, y, channels, 1, act="", name="project")

    def _query(self, b: GraphBuilder, x: Tensor, block: Block, channels: int, stride: int) -> Tensor:
        batch, _, height, width = x.shape
        x = self._norm(b, x, "norm")
        q = layers.conv(b, x, block.heads * block.head_dim, 1, bias=False, name="q")
        q = b.add(Transpose((0, 1, 3, 2)), b.add(Reshape((batch, block.heads, block.head_dim, -1)), q))
        keys = []
        for name in ("k", "v"):
            y = x
            if block.kv_stride > 1:
                groups = x.shape[1]
                kernel = block.kernels[0]
                y = layers.conv(
                    b, y, groups, kernel, stride=block.kv_stride, groups=groups, bias=False, name=f"{name}_down"
                )
                y = self._norm(b, y, f"{name}_norm")
            y = layers.conv(b, y, block.head_dim, 1, bias=False, name=name)
            keys.append(b.add(Transpose((0, 1, 3, 2)), b.add(Reshape((batch, 1, block.head_dim, -1)), y)))
        y = b.add(Attention(), q, *keys, name="attention")
        y = b.add(Reshape((batch, -1, height, width)), b.add(Transpose((0, 1, 3, 2)), y))
        return layers.conv(b, y, channels, 1, bias=False, name="out")

    def _excited(self, b: GraphBuilder, y: Tensor, block: Block) -> Tensor:
        if not block.squeeze:
            return y
        own, gate, rounds, from_hidden = self.squeeze
        share = block.squeeze if from_hidden else block.squeeze / block.expansion
        squeezed = rounded(y.shape[1] * share) if rounds else round(y.shape[1] * share)
        if gate == "context":
            return global_context(b, y, squeezed, own or block.act or self.act)
        return layers.squeeze_excite(b, y, squeezed, act=own or block.act or self.act, gate=gate)

    def _depthwise(self, b: GraphBuilder, x: Tensor, block: Block, stride: int) -> Tensor:
        act = block.act or self.act
        if len(block.kernels) == 1:
            return self._grouped(b, x, block.kernels[0], stride, act=act, name="depthwise")
        sizes = _shares(x.shape[1], len(block.kernels))
        parts = b.add_all(Split(1, sizes), x)
        made = [
            self._bare(b, part, size, kernel, stride=stride, groups=size, name=f"depthwise{kernel}")
            for part, size, kernel in zip(parts, sizes, block.kernels, strict=True)
        ]
        return layers.activation(b, self._norm(b, b.add(Concat(1), *made), "depthwise_norm"), act)

    def _pointwise(self, b: GraphBuilder, x: Tensor, channels: int, count: int, *, act: str, name: str) -> Tensor:
        """1x1, or ``count`` of them side by side on parts of the channels (Tan and Le 2019, MixConv)."""
        if count == 1:
            return self._conv(b, x, channels, 1, act=act, name=name)
        before, after = _shares(x.shape[1], count), _shares(channels, count)
        parts = b.add_all(Split(1, before), x)
        made = [
            self._bare(b, part, size, 1, name=f"{name}{place}")
            for place, (part, size) in enumerate(zip(parts, after, strict=True))
        ]
        return layers.activation(b, self._norm(b, b.add(Concat(1), *made), f"{name}_norm"), act)

    def _grouped(self, b: GraphBuilder, x: Tensor, kernel: int, stride: int, *, act: str, name: str) -> Tensor:
        channels = x.shape[1]
        return self._softened(b, x, channels, kernel, stride, groups=channels // self.group_size, act=act, name=name)

    def _softened(
        self,
        b: GraphBuilder,
        x: Tensor,
        channels: int,
        kernel: int,
        stride: int,
        *,
        groups: int = 1,
        act: str,
        name: str,
    ) -> Tensor:
        """A convolution; where the network blurs, its stride comes from a fixed filter behind it (Zhang 2019)."""
        if stride == 1 or not (self.blur or self.average_stride):
            return self._conv(b, x, channels, kernel, stride=stride, groups=groups, act=act, name=name)
        x = self._conv(b, x, channels, kernel, groups=groups, act=act, name=name)
        if self.average_stride:
            return layers.pool(b, x, "average", 2, stride=stride, name=f"{name}_pool")
        return image_layers.blur(b, x, self.blur, stride, name=f"{name}_blur", border="constant")

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        act: str = "",
        name: str,
    ) -> Tensor:
        x = self._bare(b, x, channels, kernel, stride=stride, groups=groups, name=name)
        return layers.activation(b, self._norm(b, x, f"{name}_norm"), act, f"{name}_{act}")

    def _bare(
        self, b: GraphBuilder, x: Tensor, channels: int, kernel: int, *, stride: int = 1, groups: int = 1, name: str
    ) -> Tensor:
        """Without normalisation; TensorFlow's padding puts the odd pixel last, which takes a copy of its own."""
        padding = None
        if self.same and stride > 1 and kernel > 1:
            x = image_layers.same_padding(b, x, kernel, stride, name)
            padding = 0
        return layers.conv(b, x, channels, kernel, stride=stride, padding=padding, groups=groups, bias=False, name=name)

    def _norm(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        if self.norm_group:
            return layers.group_norm(b, x, x.shape[1] // self.norm_group, name=name)
        return layers.batch_norm(b, x, name=name)


def _shares(channels: int, count: int) -> tuple[int, ...]:
    """Channels in equal parts, what is left over in the first."""
    even = channels // count
    return (channels - even * (count - 1), *[even] * (count - 1))
