"""CSPNeXt, medium (Lyu et al. 2022, RTMDet: An Empirical Study of Designing Real-Time Object Detectors, Figs. 2 and 3).

As open-mmlab/mmdetection builds it with 0.75 of the base's width and 0.67 of its depth.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers

__all__ = ["conv", "csp_stage", "cspnext"]

_STAGES = ((96, 2, True, False), (192, 4, True, False), (384, 4, True, False), (768, 2, False, True))
"""Channels, blocks, whether blocks have links, whether a pooled pyramid comes first: 0.75 and 0.67 of the base's."""


def conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, stride: int = 1, *, name: str) -> Tensor:
    """Convolution, batch normalisation, SiLU."""
    return layers.conv_bn_act(b, x, channels, kernel, stride=stride, act="silu", name=name)


def _block(b: GraphBuilder, x: Tensor, name: str, *, linked: bool) -> Tensor:
    """A 3x3 convolution and a separable one of 5x5."""
    size = x.shape[1]
    with b.scope(name):
        y = conv(b, x, size, 3, name="conv1")
        y = layers.conv_bn_act(b, y, size, 5, groups=size, act="silu", name="depthwise")
        y = conv(b, y, size, 1, name="point")
        return layers.add(b, y, x) if linked else y


def _pyramid(b: GraphBuilder, x: Tensor) -> Tensor:
    size = x.shape[1]
    with b.scope("pyramid"):
        x = conv(b, x, size // 2, 1, name="conv1")
        pools = [layers.pool(b, x, "max", k, stride=1, padding=k // 2, name=f"pool{k}") for k in (5, 9, 13)]
        return conv(b, b.add(Concat(1), x, *pools), size, 1, name="conv2")


def _gated(b: GraphBuilder, x: Tensor) -> Tensor:
    """Channels scaled by one layer over their means."""
    size = x.shape[1]
    mean = layers.pool(b, x, "average", (x.shape[2], x.shape[3]), name="mean")
    return layers.multiply(b, x, layers.activation(b, layers.conv(b, mean, size, 1, name="gate"), "hardsigmoid"))


def csp_stage(b: GraphBuilder, x: Tensor, channels: int, count: int, *, linked: bool, gated: bool) -> Tensor:
    """Two paths of half the width, one through ``count`` blocks, joined and, if asked, gated."""
    short, y = conv(b, x, channels // 2, 1, name="short"), conv(b, x, channels // 2, 1, name="main")
    for place in range(count):
        y = _block(b, y, f"block{place}", linked=linked)
    y = b.add(Concat(1), y, short)
    return conv(b, _gated(b, y) if gated else y, channels, 1, name="final")


def cspnext(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """Features at strides of 4, 8, 16 and 32."""
    x, found = image, []
    for place, (channels, stride) in enumerate(((24, 2), (24, 1), (48, 1))):
        x = conv(b, x, channels, 3, stride, name=f"stem{place}")
    for stage, (channels, count, linked, pooled) in enumerate(_STAGES):
        with b.scope(f"stage{stage}"):
            x = conv(b, x, channels, 3, 2, name="down")
            x = _pyramid(b, x) if pooled else x
            x = csp_stage(b, x, channels, count, linked=linked, gated=True)
        found.append(x)
    return found
