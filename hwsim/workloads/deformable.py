"""Deformable convolutions (Zhu et al. 2019, Deformable ConvNets v2, Eq. 1) spelled out in gathers, as exporters do.

Each of the nine places of a window is moved by what a convolution learned, and interpolated between four pixels, which
are gathered row by row; a convolution of stride 3 joins them (quic/ai-hub-models, models/_shared/centernet).
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.clip import Clip
from hwsim.operators.concat import Concat
from hwsim.operators.gather_nd import GatherNd
from hwsim.operators.pad import Pad
from hwsim.operators.reshape import Reshape
from hwsim.operators.rounding import Rounding
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers

__all__ = ["deformable_conv"]

_PLACES = 9


def deformable_conv(b: GraphBuilder, x: Tensor, channels: int, *, name: str) -> Tensor:
    """(1, channels, height, width): a 3 x 3 convolution of an image whose pixels are taken where offsets say."""
    with b.scope(name):
        height, width = x.shape[2:]
        across, down, mask = b.add_all(Split(1, (_PLACES,) * 3), layers.conv(b, x, 3 * _PLACES, 3, name="offsets"))
        moved = b.add(Reshape((_PLACES, 2, height, width)), b.add(Concat(1), across, down))
        places = b.add(Add(), moved, b.state("grid", (_PLACES, 2, height, width)), name="places")
        y = _interpolated(b, b.add(Pad(((0, 0), (0, 0), (1, 1), (1, 1))), x), places)
        mask = b.add(Transpose((1, 2, 3, 0)), layers.activation(b, mask, "sigmoid"))
        y = b.add(Transpose((1, 0, 2, 3)), layers.multiply(b, y, mask, name="modulated"))
        y = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((3 * height, 3, width, -1)), y))
        y = b.add(Transpose((0, 3, 1, 2)), b.add(Reshape((1, 3 * height, 3 * width, -1)), y))
        return layers.conv(b, y, channels, 3, stride=3, padding=0, name="conv")


def _interpolated(b: GraphBuilder, x: Tensor, places: Tensor) -> Tensor:
    """(places, height, width, channels): pixels of x (1, channels, ...) between the four next to each place."""
    channels, tall, wide = x.shape[1:]
    rows = b.add(Reshape((tall, wide, channels)), b.add(Transpose((0, 2, 3, 1)), x))
    near, share, rest = [], [], []
    for axis, (at, size) in enumerate(
        zip(b.add_all(Split(3, (1, 1)), b.add(Transpose((0, 2, 3, 1)), places)), (tall, wide), strict=True)
    ):
        first = b.add(Rounding("floor"), at, name=f"floor{axis}")
        second = b.add(Add(), first, b.state(f"next{axis}", (1,)))
        near.append([b.add(Clip(low=0.0, high=size - 1.0), each) for each in (first, second)])
        share.append(b.add(Sub(), at, first))
        rest.append(b.add(Sub(), b.state(f"one{axis}", (1,)), share[-1]))
    parts = []
    for low, down in ((True, rest[0]), (False, share[0])):
        for left, right in ((True, rest[1]), (False, share[1])):
            index = b.add(Concat(3), near[0][0 if low else 1], near[1][0 if left else 1])
            weight = layers.multiply(b, down, right, name="weight")
            parts.append(layers.multiply(b, b.add(GatherNd(), rows, index, name="gathered"), weight, name="weighted"))
    upper, lower = (b.add(Add(), *parts[place : place + 2]) for place in (0, 2))
    return b.add(Add(), upper, lower, name="interpolated")
