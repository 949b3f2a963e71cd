"""RegNets (Radosavovic et al. 2020, Designing Network Design Spaces): X, Y with squeeze-and-excite, Z inverted."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["RegNet", "quantized_widths"]

_SOURCE = "Radosavovic et al. 2020, Designing Network Design Spaces, appendix; layers as in torchvision"


@dataclass(frozen=True, slots=True)
class RegNet:
    """Depth and width of each stage, and the width of a group in its 3x3 convolutions.

    ``squeeze``: share of a block's input that its gate is squeezed to, 0 for none. ``expansion``: inner width over the
    outer one (RegNetZ, Dollar et al. 2021, has 4, shortcuts only where the shape stays and no activation behind them);
    ``features``: width of a last 1x1 convolution. ``norm_group``: channels of a group in group normalisation.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    group_width: int
    squeeze: float = 0.25
    act: str = "relu"
    expansion: int = 1
    features: int = 0
    norm_group: int = 0

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self.levels(b, image)[-1]
        if self.features:
            x = self._conv(b, x, self.features, 1, name="head")
        return layers.linear(b, layers.global_average(b, x), classes, name="fc")

    def levels(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """The output of each stage, at strides 4, 8, 16 and 32."""
        x = self._conv(b, image, 32, 3, stride=2, name="stem")
        found = []
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for place in range(depth):
                with b.scope(f"stage{stage + 1}.{place}"):
                    x = self._block(b, x, width, 2 if place == 0 else 1)
            found.append(x)
        return found

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """1x1, grouped 3x3, squeeze-and-excite, 1x1."""
        inner = width * self.expansion
        y = self._conv(b, x, inner, 1, name="conv1")
        group = min(self.group_width, inner)
        y = self._conv(b, y, inner, 3, stride=stride, groups=inner // group, name="conv2")
        if self.squeeze:
            y = layers.squeeze_excite(b, y, round(x.shape[1] * self.squeeze), act=self.act, gate="sigmoid")
        y = self._conv(b, y, width, 1, act="", name="conv3")
        if self.expansion > 1:
            return layers.add(b, x, y) if y.shape == x.shape else y
        if y.shape != x.shape:
            x = self._conv(b, x, width, 1, stride=stride, act="", name="downsample")
        return layers.activation(b, layers.add(b, x, y), self.act)

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
        if not self.norm_group:
            return layers.conv_bn_act(b, x, channels, kernel, stride=stride, groups=groups, act=act, name=name)
        x = layers.conv(b, x, channels, kernel, stride=stride, groups=groups, bias=False, name=name)
        x = layers.group_norm(b, x, channels // self.norm_group, name=f"{name}_gn")
        return layers.activation(b, x, act, name=f"{name}_{act}")


def quantized_widths(
    first: int, slope: float, factor: float, depth: int, group: int, *, expansion: int = 1, limit: float = 0.0
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Depths and widths of the stages of a RegNet (equations 2 to 4 of the paper).

    Block j is to be ``first + slope j`` wide; that is rounded to a power of ``factor`` times ``first``, to a multiple
    of 8, and then to whole groups, down by at most ``limit`` where that is given (torchvision).

    >>> quantized_widths(24, 36.44, 2.49, 13, 8)
    ((1, 1, 4, 7), (24, 56, 152, 368))
    """
    wide: Counter[int] = Counter()
    for place in range(depth):
        power = round(math.log((first + slope * place) / first) / math.log(factor))
        wide[round(first * factor**power / 8) * 8] += 1
    widths = []
    for width in sorted(wide):
        inner = width * expansion
        unit = min(group, inner)
        if limit:
            nearest = max(unit, int(inner + unit / 2) // unit * unit)
            inner = nearest + unit if nearest < limit * inner else nearest
        else:
            inner = round(inner / unit) * unit
        widths.append(inner // expansion)
    return tuple(wide[width] for width in sorted(wide)), tuple(widths)


image_network(
    "regnet_y_400mf",
    RegNet((1, 3, 6, 6), (48, 104, 208, 440), 8),
    title="RegNetY-400MF",
    source=_SOURCE,
    published=torchvision(4_344_144, 0.4018e9),
    what="Image classifier of grouped bottlenecks with squeeze-and-excite.",
)
image_network(
    "regnet_y_800mf",
    RegNet((1, 3, 8, 2), (64, 144, 320, 784), 16),
    title="RegNetY-800MF",
    source=_SOURCE,
    published=torchvision(6_432_512, 0.834e9),
    what="Image classifier of grouped bottlenecks with squeeze-and-excite.",
)
