"""DarkNets and cross-stage partial networks (Wang et al. 2020, CSPNet) by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.image_layers import rounded

__all__ = ["FAMILIES", "CrossStage"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossStage:
    """Blocks and width of each stage; half the channels pass by the blocks.

    ``kind``: "dark" (none pass by), "partial" or "third" (one transition instead of two). ``block``: "bottle", "dark"
    or "edge". ``widening``, ``inner`` and ``share``: width in front of the split, within blocks and of blocks, over
    that of the stage, the last of a tuple holding on. ``stem``: channels of its convolutions, ``halvings`` of their
    strides (the second by a pool), of ``stem_kernel``; ``same``: the first stage keeps the size. ``gate``: share that
    squeeze-and-excite squeezes to. ``linear``: no activation in front of the split. ``grown``: strided convolutions
    widen. ``pooled``: they are pools.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kind: str = "partial"
    block: str = "bottle"
    widening: tuple[float, ...] = (1.0,)
    inner: tuple[float, ...] = (1.0,)
    share: tuple[float, ...] = (0.5,)
    groups: tuple[int, ...] = (1,)
    stem: tuple[int, ...] = (32,)
    halvings: int = 0
    stem_kernel: int = 3
    same: bool = False
    act: str = "leaky_relu"
    gate: float = 0.0
    linear: bool = False
    grown: bool = False
    pooled: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for place, channels in enumerate(self.stem):
            stride = 2 if place == 0 and self.halvings else 1
            padding = 2 if self.stem_kernel == 6 else None
            x = layers.conv_bn_act(
                b, x, channels, self.stem_kernel, stride=stride, padding=padding, act=self.act, name=f"stem{place}"
            )
        if self.halvings == 2:
            x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="stem_pool")
        for stage, depth in enumerate(self.depths):
            with b.scope(f"stage{stage}"):
                x = self._stage(b, x, stage, depth)
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _stage(self, b: GraphBuilder, x: Tensor, stage: int, depth: int) -> Tensor:
        width, groups = self.widths[stage], _at(self.groups, stage)
        wide = width if self.kind == "dark" or self.grown else x.shape[1]
        if self.pooled:
            x = layers.conv_bn_act(b, layers.pool(b, x, "average", 2), width, 1, act=self.act, name="down")
        elif stage or not self.same:
            x = layers.conv_bn_act(b, x, wide, 3, stride=2, groups=groups, act=self.act, name="down")
        if self.kind == "dark":
            return self._blocks(b, x, stage, depth, width)
        broad = round(width * _at(self.widening, stage))
        x = layers.conv_bn_act(b, x, broad, 1, act="" if self.linear else self.act, name="widen")
        first, second = b.add_all(Split(1, (broad // 2, broad // 2)), x)
        part = round(width * _at(self.share, stage))
        if self.kind == "third":
            joined = b.add(Concat(1), self._blocks(b, first, stage, depth, part), second)
        else:
            made = self._blocks(b, second, stage, depth, part)
            made = layers.conv_bn_act(b, made, broad // 2, 1, act=self.act, name="transition_b")
            joined = b.add(Concat(1), first, made)
        return layers.conv_bn_act(b, joined, width, 1, act=self.act, name="transition")

    def _blocks(self, b: GraphBuilder, x: Tensor, stage: int, depth: int, width: int) -> Tensor:
        inner, groups, act = round(width * _at(self.inner, stage)), _at(self.groups, stage), self.act
        for place in range(depth):
            with b.scope(f"block{place}"):
                if self.block == "edge":
                    y = self._gated(b, layers.conv_bn_act(b, x, inner, 3, groups=groups, act=act, name="conv1"))
                    y = layers.conv_bn_act(b, y, width, 1, act=act, name="conv2")
                elif self.block == "dark":
                    y = self._gated(b, layers.conv_bn_act(b, x, inner, 1, act=act, name="conv1"))
                    y = layers.conv_bn_act(b, y, width, 3, groups=groups, act=act, name="conv2")
                else:
                    y = layers.conv_bn_act(b, x, inner, 1, act=act, name="conv1")
                    y = self._gated(b, layers.conv_bn_act(b, y, inner, 3, groups=groups, act=act, name="conv2"))
                    y = layers.conv_bn_act(b, y, width, 1, act="", name="conv3")
                x = layers.add(b, y, x)
                x = layers.activation(b, x, act) if self.block == "bottle" else x
        return x

    def _gated(self, b: GraphBuilder, y: Tensor) -> Tensor:
        if not self.gate:
            return y
        return layers.squeeze_excite(b, y, rounded(y.shape[1] * self.gate, limit=0.0), act=self.act, gate="sigmoid")


def _at(values: tuple[_T, ...], place: int) -> _T:
    return values[min(place, len(values) - 1)]


_RES, _DEEP = (3, 3, 5, 2), (32, 32, 64)
_RES50 = CrossStage(
    depths=_RES,
    widths=(128, 256, 512, 1024),
    widening=(2.0,),
    inner=(0.5,),
    share=(1.0,),
    stem=(64,),
    stem_kernel=7,
    halvings=2,
    same=True,
    linear=True,
)
_RES50W = replace(
    _RES50, widths=(256, 512, 1024, 2048), widening=(1.0,), inner=(0.25,), share=(0.5,), stem=_DEEP, stem_kernel=3
)
_DARK = CrossStage(depths=(1, 2, 8, 8, 4), widths=(64, 128, 256, 512, 1024), kind="dark", block="dark", inner=(0.5,))
_NETWORKS: Mapping[str, CrossStage] = MappingProxyType(
    {
        "cspresnet50": _RES50,
        "cspresnet50d": replace(_RES50, stem=_DEEP, stem_kernel=3),
        "cspresnet50w": _RES50W,
        "cspresnext50": replace(_RES50W, groups=(32,), inner=(1.0,), stem=(64,), stem_kernel=7),
        "cspdarknet53": replace(
            _DARK, kind="partial", widening=(2.0, 1.0), inner=(0.5, 1.0), share=(1.0, 0.5), grown=True
        ),
        "darknet17": replace(_DARK, depths=(1, 1, 1, 1, 1)),
        "darknet21": replace(_DARK, depths=(1, 1, 1, 2, 2)),
        "sedarknet21": replace(_DARK, depths=(1, 1, 1, 2, 2), gate=1 / 16),
        "darknet53": _DARK,
        "darknetaa53": replace(_DARK, pooled=True),
        "cs3sedarknet_xdw": CrossStage(
            depths=(3, 6, 12, 4),
            widths=(256, 512, 1024, 2048),
            groups=(1, 1, 256, 512),
            inner=(0.5,),
            stem=(32, 64),
            halvings=1,
            act="silu",
            gate=1 / 16,
        ),
    }
)
_SCALES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"s": (0.5, 0.5), "m": (0.75, 0.67), "l": (1.0, 1.0), "x": (1.25, 1.33)}
)
"""Width and depth."""


def _find(name: str) -> Sized | None:
    if name in _NETWORKS:
        return Sized(_NETWORKS[name], 256)
    found = re.match(r"cs3(se)?(?:darknet|_?(edge)net)(_focus)?_([smlx])$", name)
    if found is None:
        return None
    gated, edge, focus, size = found.groups()
    width, depth = _SCALES[size]
    network = CrossStage(
        depths=tuple(int(blocks * depth) for blocks in (3, 6, 9, 3)),
        widths=tuple(layers.divisible(width * channels) for channels in (128, 256, 512, 1024)),
        kind="third",
        block="edge" if edge else "dark",
        inner=(1.5 if edge else 1.0,),
        stem=tuple(layers.divisible(width * channels) for channels in ((64,) if focus else (32, 64))),
        stem_kernel=6 if focus else 3,
        halvings=1,
        act="silu",
        gate=(1 / 16 if size == "x" and not edge else 0.25) if gated else 0.0,
    )
    return Sized(network, 256)


FAMILIES = (
    ImageFamily(
        name="cspnet, darknet",
        title="cross-stage partial network",
        source="Wang et al. 2020, CSPNet: A New Backbone that can Enhance Learning Capability of CNN; Redmon and "
        "Farhadi 2018, YOLOv3",
        examples=("cspresnet50", "darknet53", "cs3darknet_focus_l", "cs3se_edgenet_x"),
        find=_find,
    ),
)
