"""DLAs (Yu et al. 2018, Deep Layer Aggregation) and Xceptions by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["DLA", "FAMILIES", "Xception"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DLA:
    """Levels of convolutions and of trees, and their widths.

    ``kind``: "basic" (two 3x3), "bottle" or "parts" (Res2Net's, four parts), in ``groups`` of ``base`` / 64 of the
    width; ``residual``: roots add what they read first.
    """

    levels: tuple[int, ...]
    widths: tuple[int, ...]
    kind: str = "bottle"
    groups: int = 1
    base: int = 64
    residual: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        return layers.linear(b, layers.global_average(b, self.features(b, image)[-1]), classes, name="fc")

    def features(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """What the four levels of trees make, at strides of 4, 8, 16 and 32."""
        x = layers.conv_bn_act(b, image, self.widths[0], 7, name="base")
        for level in (0, 1):
            for place in range(self.levels[level]):
                stride = 2 if level and place == 0 else 1
                x = layers.conv_bn_act(b, x, self.widths[level], 3, stride=stride, name=f"level{level}.{place}")
        found = []
        for level in range(2, 6):
            with b.scope(f"level{level}"):
                x = self._tree(b, x, self.levels[level], self.widths[level], 2, [], root=level > 2)
            found.append(x)
        return found

    def _tree(
        self, b: GraphBuilder, x: Tensor, depth: int, width: int, stride: int, children: list[Tensor], *, root: bool
    ) -> Tensor:
        """Two subtrees and, at the bottom, a root that joins them with ``children`` (Fig. 3)."""
        bottom = layers.pool(b, x, "max", stride, name="bottom") if stride > 1 else x
        if root:
            children = [*children, bottom]
        if depth > 1:
            with b.scope("tree1"):
                first = self._tree(b, x, depth - 1, width, stride, [], root=False)
            with b.scope("tree2"):
                return self._tree(b, first, depth - 1, width, 1, [*children, first], root=False)
        shortcut = bottom
        if bottom.shape[1] != width:
            shortcut = layers.conv_bn_act(b, bottom, width, 1, act="", name="project")
        with b.scope("tree1"):
            first = self._block(b, x, width, stride, shortcut)
        with b.scope("tree2"):
            second = self._block(b, first, width, 1, first)
        y = layers.conv_bn_act(b, b.add(Concat(1), second, first, *children), width, 1, act="", name="root")
        return layers.activation(b, layers.add(b, y, second, name="rooted") if self.residual else y, "relu")

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int, shortcut: Tensor) -> Tensor:
        if self.kind == "basic":
            y = layers.conv_bn_act(b, x, width, 3, stride=stride, name="conv1")
            y = layers.conv_bn_act(b, y, width, 3, act="", name="conv2")
        else:
            inner = width * self.base // 64 * self.groups // 2
            parted = self.kind == "parts"
            y = layers.conv_bn_act(b, x, inner * (4 if parted else 1), 1, name="conv1")
            if parted:
                y = self._parts(b, y, inner, stride)
            else:
                y = layers.conv_bn_act(b, y, inner, 3, stride=stride, groups=self.groups, name="conv2")
            y = layers.conv_bn_act(b, y, width, 1, act="", name="conv3")
        return layers.activation(b, layers.add(b, y, shortcut), "relu")

    def _parts(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        pieces = b.add_all(Split(1, (width,) * 4), x)
        made: list[Tensor] = []
        for place in range(3):
            alone = stride > 1 or not made
            read = pieces[place] if alone else layers.add(b, made[-1], pieces[place], name=f"sum{place}")
            made.append(layers.conv_bn_act(b, read, width, 3, stride=stride, groups=self.groups, name=f"conv2.{place}"))
        last = pieces[3]
        last = layers.pool(b, last, "average", 3, stride=stride, padding=1, name="pool2") if stride > 1 else last
        return b.add(Concat(1), *made, last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Xception:
    """Blocks of three separable convolutions (Chollet 2017, Xception, Fig. 5; Chen et al. 2018, DeepLabv3+, Fig. 4).

    ``entry``: width and stride of its blocks, ``middle``: how many of 728 channels; ``early``: norms come first;
    ``original``: Chollet's, with pools instead of strides, two layers in strided blocks.
    """

    entry: tuple[tuple[int, int], ...] = ((128, 2), (256, 2), (728, 2))
    middle: int = 8
    early: bool = False
    original: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        padding = 0 if self.original else 1
        x = layers.conv_bn_act(b, image, 32, 3, stride=2, padding=padding, name="stem0")
        if self.early:
            x = layers.conv(b, x, 64, 3, bias=False, name="stem1")
        else:
            x = layers.conv_bn_act(b, x, 64, 3, padding=padding, name="stem1")
        rows = [*self.entry, *[(728, 1)] * self.middle]
        for place, (width, stride) in enumerate(rows):
            with b.scope(f"block{place}"):
                count = 2 if self.original and stride > 1 else 3
                x = self._block(b, x, (width,) * count, stride, bare=self.original and place == 0)
        with b.scope("exit0"):
            x = self._block(b, x, (728, 1024) if self.original else (728, 1024, 1024), 2)
        for place, width in enumerate((1536, 2048) if self.original else (1536, 1536, 2048)):
            with b.scope(f"exit1.{place}"):
                if self.early:
                    x = self._separable(b, layers.activation(b, layers.batch_norm(b, x), "relu"), width, 1)
                else:
                    x = self._separable(b, x, width, 1, outer="relu", inner="" if self.original else "relu")
        x = layers.activation(b, x, "relu") if self.early else x
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor, widths: tuple[int, ...], stride: int, *, bare: bool = False) -> Tensor:
        if self.early:
            x = layers.activation(b, layers.batch_norm(b, x, name="first_bn"), "relu", name="first_relu")
        shortcut = x
        if stride > 1 or x.shape[1] != widths[-1]:
            if self.early:
                shortcut = layers.conv(b, x, widths[-1], 1, stride=stride, bias=False, name="shortcut")
            else:
                shortcut = layers.conv_bn_act(b, x, widths[-1], 1, stride=stride, act="", name="shortcut")
        y = x
        for place, width in enumerate(widths):
            with b.scope(f"conv{place}"):
                if self.early:
                    y = layers.activation(b, layers.batch_norm(b, y), "relu") if place else y
                elif place or not bare:
                    y = layers.activation(b, y, "relu")
                last = place == len(widths) - 1 and not self.original
                y = self._separable(b, y, width, stride if last else 1)
        if self.original and stride > 1:
            y = layers.pool(b, y, "max", 3, stride=stride, padding=1, name="pool")
        return layers.add(b, y, shortcut)

    def _separable(
        self, b: GraphBuilder, x: Tensor, width: int, stride: int, *, inner: str = "", outer: str = ""
    ) -> Tensor:
        y = layers.conv(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], bias=False, name="depthwise")
        if not (self.early or self.original):
            y = layers.activation(b, layers.batch_norm(b, y, name="depthwise_bn"), inner, name="depthwise_act")
        y = layers.conv(b, y, width, 1, bias=False, name="pointwise")
        y = y if self.early else layers.batch_norm(b, y, name="pointwise_bn")
        return layers.activation(b, y, outer, name="pointwise_act")


_WIDE, _COMPACT = (16, 32, 128, 256, 512, 1024), (16, 32, 64, 64, 128, 256)
_34, _60, _102 = (1, 1, 1, 2, 2, 1), (1, 1, 1, 2, 3, 1), (1, 1, 1, 3, 4, 1)
_DLAS: Mapping[str, DLA] = MappingProxyType(
    {
        "dla34": DLA(levels=_34, widths=(16, 32, 64, 128, 256, 512), kind="basic"),
        "dla46_c": DLA(levels=_34, widths=_COMPACT),
        "dla46x_c": DLA(levels=_34, widths=_COMPACT, groups=32, base=4),
        "dla60x_c": DLA(levels=_60, widths=_COMPACT, groups=32, base=4),
        "dla60": DLA(levels=_60, widths=_WIDE),
        "dla60x": DLA(levels=_60, widths=_WIDE, groups=32, base=4),
        "dla60_res2net": DLA(levels=_60, widths=_WIDE, kind="parts", base=28),
        "dla60_res2next": DLA(levels=_60, widths=_WIDE, kind="parts", groups=8, base=4),
        "dla102": DLA(levels=_102, widths=_WIDE, residual=True),
        "dla102x": DLA(levels=_102, widths=_WIDE, groups=32, base=4, residual=True),
        "dla102x2": DLA(levels=_102, widths=_WIDE, groups=64, base=4, residual=True),
        "dla169": DLA(levels=(1, 1, 2, 3, 5, 1), widths=_WIDE, residual=True),
    }
)
_LONG = ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))


def _find(name: str) -> Sized | None:
    return Sized(_DLAS[name]) if name in _DLAS else None


def _find_xception(name: str) -> Sized | None:
    if name == "legacy_xception":
        return Sized(Xception(original=True), 299)
    found = re.match(r"xception(41|65|71)(p?)$", name)
    if found is None or name == "xception71p":
        return None
    entry = _LONG if found[1] == "71" else Xception().entry
    return Sized(Xception(entry=entry, middle=8 if found[1] == "41" else 16, early=bool(found[2])), 299)


FAMILIES = (
    ImageFamily(
        name="dla",
        title="aggregated layers",
        source="Yu et al. 2018, Deep Layer Aggregation, Table 1",
        examples=("dla102x2", "dla60_res2next", "dla34"),
        find=_find,
    ),
    ImageFamily(
        name="xception",
        title="separable convolutions",
        source="Chollet 2017, Xception; Chen et al. 2018, Encoder-Decoder with Atrous Separable Convolution, Fig. 4",
        examples=("xception41", "xception65p", "legacy_xception"),
        find=_find_xception,
        minimum=96,
    ),
)
