"""GhostNets and ReXNets by the names of timm."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.image_layers import rounded

__all__ = ["FAMILIES", "GhostNet", "ReXNet", "RepGhostNet"]

_GHOST = (
    # kernel, inner width, width, gated, stride
    *((3, 16, 16, False, 1), (3, 48, 24, False, 2), (3, 72, 24, False, 1), (5, 72, 40, True, 2)),
    *((5, 120, 40, True, 1), (3, 240, 80, False, 2), (3, 200, 80, False, 1), (3, 184, 80, False, 1)),
    *((3, 184, 80, False, 1), (3, 480, 112, True, 1), (3, 672, 112, True, 1), (5, 672, 160, True, 2)),
    *((5, 960, 160, False, 1), (5, 960, 160, True, 1), (5, 960, 160, False, 1), (5, 960, 160, True, 1)),
)
"""Han et al. 2020, GhostNet, Table 1."""


Row = tuple[int, int, int, bool, int]
"""Kernel, inner width, width, whether channels are gated, stride: a row of the table."""


@dataclass(frozen=True, slots=True)
class GhostNet:
    """Widths over those of the paper; ``attended``: the second version's gate from long convolutions (section 3)."""

    width: float
    attended: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        return _network(b, image, classes, self.width, self._block)

    def _block(self, b: GraphBuilder, x: Tensor, row: Row, place: int) -> Tensor:
        y = self._ghost(b, x, row[1], "relu", "ghost1")
        if self.attended and place > 1:
            y = layers.multiply(b, y, self._gate(b, x, row[1], y.shape[2:]), name="attended")
        y = self._ghost(b, _between(b, y, row), row[2], "", "ghost2")
        return layers.add(b, y, _shortcut(b, x, y, row[0], row[4]))

    def _ghost(self, b: GraphBuilder, x: Tensor, width: int, act: str, name: str) -> Tensor:
        """Half of the features by 1x1, the other half from them by depthwise 3x3 (Fig. 2b)."""
        half = math.ceil(width / 2)
        y = layers.conv_bn_act(b, x, half, 1, act=act, name=f"{name}_primary")
        z = layers.conv_bn_act(b, y, half, 3, groups=half, act=act, name=f"{name}_cheap")
        y = b.add(Concat(1), y, z, name=name)
        return b.add(Slice(1, 0, width), y) if y.shape[1] > width else y

    def _gate(self, b: GraphBuilder, x: Tensor, width: int, size: tuple[int, ...]) -> Tensor:
        y = layers.pool(b, x, "average", 2, name="gate_pool")
        y = layers.conv_bn_act(b, y, width, 1, act="", name="gate0")
        y = layers.conv_bn_act(b, y, width, (1, 5), groups=width, act="", name="gate1")
        y = layers.conv_bn_act(b, y, width, (5, 1), groups=width, act="", name="gate2")
        return b.add(Resize(size=(size[0], size[1]), mode="nearest"), layers.activation(b, y, "sigmoid"), name="grown")


@dataclass(frozen=True, slots=True)
class RepGhostNet:
    """GhostNets that add instead of joining, half as wide inside, with branches not yet merged (Chen et al. 2022)."""

    width: float

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        rows = [(row[0], 120 if row[1] == 184 else row[1] // 2, *row[2:]) for row in _GHOST]
        return _network(b, image, classes, self.width, self._block, rows)

    def _block(self, b: GraphBuilder, x: Tensor, row: Row, _: int) -> Tensor:
        y = self._added(b, x, row[1], "relu", "ghost1")
        y = self._added(b, _between(b, y, row), row[2], "", "ghost2")
        return layers.add(b, y, _shortcut(b, x, y, row[0], row[4]))

    def _added(self, b: GraphBuilder, x: Tensor, width: int, act: str, name: str) -> Tensor:
        y = layers.conv_bn_act(b, x, width, 1, act=act, name=f"{name}_primary")
        z = layers.conv_bn_act(b, y, width, 3, groups=width, act="", name=f"{name}_cheap")
        z = layers.add(b, z, layers.batch_norm(b, y, name=f"{name}_identity"), name=f"{name}_add")
        return layers.activation(b, z, act)


def _network(
    b: GraphBuilder,
    image: Tensor,
    classes: int,
    width: float,
    block: Callable[[GraphBuilder, Tensor, Row, int], Tensor],
    rows: Sequence[Row] = _GHOST,
) -> Tensor:
    """Logits (batch, classes) of blocks whose widths are those of ``rows`` times ``width``, in fours."""

    def scaled(base: int) -> int:
        return rounded(base * width, divisor=4)

    x = layers.conv_bn_act(b, image, scaled(16), 3, stride=2, name="stem")
    for place, (kernel, inner, channels, gated, stride) in enumerate(rows):
        with b.scope(f"block{place}"):
            x = block(b, x, (kernel, scaled(inner), scaled(channels), gated, stride), place)
    x = layers.conv_bn_act(b, x, scaled(960), 1, name="last")
    y = b.add(Reshape((x.shape[0], x.shape[1], 1, 1)), layers.global_average(b, x))
    y = layers.activation(b, layers.conv(b, y, 1280, 1, name="head"), "relu")
    return layers.linear(b, layers.flatten(b, y), classes, name="classifier")


def _between(b: GraphBuilder, x: Tensor, row: Row) -> Tensor:
    """What stands between the two modules of a block: a depthwise convolution that strides, gated channels."""
    kernel, inner, _, gated, stride = row
    if stride > 1:
        x = layers.conv_bn_act(b, x, inner, kernel, stride=stride, groups=inner, act="", name="depthwise")
    if gated:
        x = layers.squeeze_excite(b, x, rounded(inner * 0.25, divisor=4), act="relu", gate="hardsigmoid")
    return x


def _shortcut(b: GraphBuilder, x: Tensor, y: Tensor, kernel: int, stride: int) -> Tensor:
    """X, or a separable convolution of it where the shape changes."""
    if y.shape == x.shape:
        return x
    x = layers.conv_bn_act(b, x, x.shape[1], kernel, stride=stride, groups=x.shape[1], act="", name="shortcut1")
    return layers.conv_bn_act(b, x, y.shape[1], 1, act="", name="shortcut2")


@dataclass(frozen=True, slots=True)
class ReXNet:
    """Widths that grow block by block, over those of the paper, in multiples of ``unit`` (Han et al. 2021, Table 7)."""

    width: float
    unit: int = 1

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        base = max(self.width, 1.0)
        x = layers.conv_bn_act(b, image, self._rounded(round(32 * base)), 3, stride=2, act="silu", name="stem")
        counts, strides = (1, 2, 2, 3, 3, 5), (1, 2, 2, 2, 1, 2)
        total, place = sum(counts), 0
        channels = 16 / self.width if self.width < 1 else 16.0
        for stage, count in enumerate(counts):
            for step in range(count):
                with b.scope(f"block{place}"):
                    width = self._rounded(round(channels * self.width))
                    x = self._block(b, x, width, strides[stage] if step == 0 else 1, 6 if stage else 1, stage > 1)
                channels += 180 / total
                place += 1
        x = layers.conv_bn_act(b, x, self._rounded(1280 * self.width), 1, act="silu", name="last")
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _rounded(self, channels: float) -> int:
        return rounded(channels, divisor=self.unit)

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int, ratio: int, gated: bool) -> Tensor:
        read, y = x.shape[1], x
        inner = self._rounded(round(read * ratio))
        if ratio > 1:
            y = layers.conv_bn_act(b, y, inner, 1, act="silu", name="expand")
        y = layers.conv_bn_act(b, y, inner, 3, stride=stride, groups=inner, act="", name="depthwise")
        y = self._excited(b, y, self._rounded(int(inner / 12))) if gated else y
        y = layers.conv_bn_act(b, layers.activation(b, y, "relu6"), width, 1, act="", name="project")
        if stride > 1 or read > width:
            return y
        if read == width:
            return b.add(Concat(1), layers.add(b, b.add(Slice(1, 0, read), y), x))
        kept = layers.add(b, b.add(Slice(1, 0, read), y), x)
        return b.add(Concat(1), kept, b.add(Slice(1, read, None), y), name="partial")

    def _excited(self, b: GraphBuilder, x: Tensor, squeezed: int) -> Tensor:
        """Squeeze-and-excite with a norm inside."""
        with b.scope("se"):
            y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
            y = layers.batch_norm(b, layers.conv(b, y, squeezed, 1, name="reduce"), name="reduce_bn")
            y = layers.conv(b, layers.activation(b, y, "relu"), x.shape[1], 1, name="expand")
            return layers.multiply(b, x, layers.activation(b, y, "sigmoid"))


_UNITS: Mapping[str, int] = MappingProxyType({"": 1, "r": 8})


def _find(name: str) -> Sized | None:
    if merged := re.match(r"repghostnet_(\d{3})$", name):
        return Sized(RepGhostNet(int(merged[1]) / 100))
    found = re.match(r"ghostnet(v2)?_(\d{3})$", name)
    return Sized(GhostNet(int(found[2]) / 100, bool(found[1]))) if found else None


def _find_rex(name: str) -> Sized | None:
    found = re.match(r"rexnet(r?)_(100|130|150|200|300)$", name)
    if found is None:
        return None
    unit = 16 if name == "rexnetr_300" else _UNITS[found[1]]
    return Sized(ReXNet(int(found[2]) / 100, unit))


FAMILIES = (
    ImageFamily(
        name="ghostnet",
        title="cheap features from others",
        source="Han et al. 2020, GhostNet, Table 1; Tang et al. 2022, GhostNetV2; Chen et al. 2022, RepGhost",
        examples=("ghostnet_100", "repghostnet_150", "ghostnetv2_160"),
        find=_find,
    ),
    ImageFamily(
        name="rexnet",
        title="inverted residuals that widen step by step",
        source="Han et al. 2021, Rethinking Channel Dimensions for Efficient Model Design, Table 7",
        examples=("rexnet_150", "rexnetr_300"),
        find=_find_rex,
    ),
)
