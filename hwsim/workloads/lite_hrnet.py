"""Lite-HRNet-18 (Yu et al. 2021, Lite-HRNet: A Lightweight High-Resolution Network, Table 1), for 17 joints.

As open-mmlab/mmpose builds it (td-hm_litehrnet-18_8xb64-210e_coco-256x192).
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published
from hwsim.workloads.shufflenet_v2 import shuffled

__all__: list[str] = []

_WIDTHS = (40, 80, 160, 320)
_MODULES, _BLOCKS, _RATIO, _JOINTS = (2, 4, 2), 2, 8, 17


def _depthwise(b: GraphBuilder, x: Tensor, name: str, *, stride: int = 1) -> Tensor:
    return layers.conv_bn_act(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], act="", name=name)


def _separable(b: GraphBuilder, x: Tensor, channels: int, name: str, *, stride: int = 1, act: str = "relu") -> Tensor:
    x = _depthwise(b, x, f"{name}_depthwise", stride=stride)
    return layers.conv_bn_act(b, x, channels, 1, act=act, name=f"{name}_pointwise")


def _stem(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 32, height / 4, width / 4)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, name="conv")
    kept, turned = b.add_all(Split(1, (16, 16)), x)
    kept = _separable(b, kept, 16, "side", stride=2)
    turned = layers.conv_bn_act(b, turned, 32, 1, name="expand")
    turned = _separable(b, turned, 16, "main", stride=2)
    return shuffled(b, b.add(Concat(1), kept, turned))


def _weighted(b: GraphBuilder, levels: Sequence[Tensor]) -> list[Tensor]:
    """Levels times weights for each pixel of the coarsest, made from all of them (Fig. 3)."""
    sizes = tuple(x.shape[1] for x in levels)
    least = levels[-1].shape[2:4]
    parts = [layers.adaptive_average(b, x, (least[0], least[1]), name=f"pool{i}") for i, x in enumerate(levels[:-1])]
    y = b.add(Concat(1), *parts, levels[-1], name="all")
    y = layers.conv_bn_act(b, y, sum(sizes) // _RATIO, 1, name="narrow")
    y = layers.conv_bn_act(b, y, sum(sizes), 1, act="sigmoid", name="weights")
    made = b.add_all(Split(1, sizes), y)
    return [
        layers.multiply(b, x, resized(b, part, x.shape, mode="nearest", name=f"spread{i}"), name=f"weighted{i}")
        for i, (x, part) in enumerate(zip(levels, made, strict=True))
    ]


def _gated(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Channels scaled by two layers over their means."""
    with b.scope(name):
        y = layers.pool(b, x, "average", (x.shape[2], x.shape[3]), name="mean")
        y = layers.activation(b, layers.conv(b, y, x.shape[1] // 4, 1, name="squeeze"), "relu")
        y = layers.activation(b, layers.conv(b, y, x.shape[1], 1, name="excite"), "sigmoid")
        return layers.multiply(b, x, y)


def _block(b: GraphBuilder, levels: Sequence[Tensor]) -> list[Tensor]:
    halves = [b.add_all(Split(1, (x.shape[1] // 2,) * 2), x) for x in levels]
    found = []
    for place, turned in enumerate(_weighted(b, [half[1] for half in halves])):
        y = _gated(b, _depthwise(b, turned, f"depthwise{place}"), f"gate{place}")
        found.append(shuffled(b, b.add(Concat(1), halves[place][0], y)))
    return found


def _fused(b: GraphBuilder, levels: Sequence[Tensor]) -> list[Tensor]:
    """Each level the sum of all, brought to its size; what the published code computes twice alike is computed once."""
    found = []
    for i, level in enumerate(levels):
        total = level
        for j, other in enumerate(levels):
            if i == j:
                continue
            with b.scope(f"fuse{i}.{j}"):
                y = other
                if j > i:
                    y = layers.conv_bn_act(b, y, level.shape[1], 1, act="", name="narrow")
                    y = resized(b, y, level.shape, mode="nearest", name="up")
                for step in range(i - j):
                    last = step == i - j - 1
                    channels, act = (level.shape[1], "") if last else (other.shape[1], "relu")
                    y = _separable(b, y, channels, f"down{step}", stride=2, act=act)
                total = layers.add(b, total, y)
        found.append(layers.activation(b, total, "relu"))
    return found


def _lite_hrnet(b: GraphBuilder, image: Tensor) -> Tensor:
    """Heat maps (batch, 17, height / 4, width / 4)."""
    with b.scope("stem"):
        x = _stem(b, image)
    levels: list[Tensor] = []
    for stage, modules in enumerate(_MODULES):
        with b.scope(f"stage{stage}"):
            if not levels:
                levels = [_separable(b, x, _WIDTHS[0], "same")]
            else:
                x = levels[-1]
            levels.append(_separable(b, x, _WIDTHS[len(levels)], "coarser", stride=2))
            for module in range(modules):
                with b.scope(f"module{module}"):
                    for block in range(_BLOCKS):
                        with b.scope(f"block{block}"):
                            levels = _block(b, levels)
                    levels = _fused(b, levels)
    x = _separable(b, levels[-1], _WIDTHS[2], "project3")
    for place in (2, 1, 0):
        x = layers.add(b, levels[place], resized(b, x, levels[place].shape, name=f"up{place}"))
        x = _separable(b, x, _WIDTHS[max(0, place - 1)], f"project{place}")
    return layers.conv(b, x, _JOINTS, 1, name="heatmaps")


image_filter(
    "lite_hrnet_18",
    _lite_hrnet,
    title="Lite-HRNet-18",
    source="Yu et al. 2021, Lite-HRNet: A Lightweight High-Resolution Network, Table 1",
    published=Published(
        parameters=1_130_000, macs=0.205e9, tolerance=0.035, source="Yu et al. 2021, Table 2: 1.1 M, 205 M MACs; mmpose"
    ),
    what="17 joints of a person.",
    size=(256, 192),
    minimum=64,
)
