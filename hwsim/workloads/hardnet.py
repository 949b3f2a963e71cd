"""HarDNet: layers read those at distances of powers of two (Chao et al. 2019, HarDNet: A Low Memory Traffic Network).

Layers as PingoLH/Pytorch-HarDNet has them, from memory, checked by their counts.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_GROWTH = 1.6
_BLOCKS = ((4, 16, 96, True), (16, 20, 320, True), (8, 64, 640, True), (4, 160, 1024, False))
"""Layers, growth, channels after the block, whether the size is halved: HarDNet-39DS."""


def _depthwise(b: GraphBuilder, x: Tensor, stride: int, name: str) -> Tensor:
    return layers.conv_bn_act(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], act="", name=name)


def _links(layer: int, growth: int) -> tuple[list[int], int]:
    """The layers that a layer reads, nearest first, and its channels (section 3.1)."""
    found = [layer - step for step in (2**power for power in range(10)) if layer % step == 0]
    channels = growth
    for _ in found[1:]:
        channels = (int(channels * _GROWTH) + 1) // 2 * 2
    return found, channels


def _block(b: GraphBuilder, x: Tensor, count: int, growth: int) -> Tensor:
    made = [x]
    for layer in range(1, count + 1):
        links, channels = _links(layer, growth)
        read = [made[place] for place in links]
        with b.scope(f"layer{layer}"):
            y = b.add(Concat(1), *read) if len(read) > 1 else read[0]
            made.append(_depthwise(b, layers.conv_bn_act(b, y, channels, 1, act="relu6", name="point"), 1, "depthwise"))
    return b.add(Concat(1), *(y for place, y in enumerate(made) if place % 2 == 1 or place == count), name="joined")


def _hardnet39ds(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, classes)."""
    x = layers.conv_bn_act(b, image, 24, 3, stride=2, act="relu6", name="stem")
    x = _depthwise(b, layers.conv_bn_act(b, x, 48, 1, act="relu6", name="stem_point"), 2, "stem_depthwise")
    for place, (count, growth, channels, halved) in enumerate(_BLOCKS):
        with b.scope(f"block{place}"):
            x = layers.conv_bn_act(b, _block(b, x, count, growth), channels, 1, act="relu6", name="transition")
            x = _depthwise(b, x, 2, "halve") if halved else x
    return layers.linear(b, layers.global_average(b, x), classes, name="head")


_DENSE = ((8, 14, 128, True), (16, 16, 256, False), (16, 20, 320, True), (16, 40, 640, True), (4, 160, 1024, False))
"""The same for HarDNet-68, whose layers are full 3x3 convolutions and whose images are halved by pools."""


def _dense_links(layer: int, growth: int) -> tuple[list[int], int]:
    found = [layer - step for step in (2**power for power in range(10)) if layer % step == 0]
    return found, int(growth * 1.7 ** (len(found) - 1) + 1) // 2 * 2


def _hardnet68(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, classes)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, act="relu6", name="stem")
    x = layers.conv_bn_act(b, x, 64, 3, act="relu6", name="stem2")
    x = layers.pool(b, x, "max", 3, stride=2, padding=1)
    for place, (count, growth, channels, halved) in enumerate(_DENSE):
        with b.scope(f"block{place}"):
            made = [x]
            for layer in range(1, count + 1):
                links, width = _dense_links(layer, growth)
                read = [made[link] for link in links]
                y = b.add(Concat(1), *read) if len(read) > 1 else read[0]
                made.append(layers.conv_bn_act(b, y, width, 3, act="relu6", name=f"layer{layer}"))
            x = b.add(Concat(1), *(y for step, y in enumerate(made) if step % 2 == 1 or step == count), name="joined")
            x = layers.conv_bn_act(b, x, channels, 1, act="relu6", name="transition")
            x = layers.pool(b, x, "max", 2) if halved else x
    return layers.linear(b, layers.global_average(b, x), classes, name="head")


image_network(
    "hardnet68",
    _hardnet68,
    title="HarDNet-68",
    source="Chao et al. 2019, HarDNet; PingoLH/Pytorch-HarDNet",
    published=Published(parameters=17_560_000, macs=4.25e9, tolerance=0.03, source="PingoLH/Pytorch-HarDNet README"),
)

image_network(
    "hardnet39ds",
    _hardnet39ds,
    title="HarDNet-39DS",
    source="Chao et al. 2019, HarDNet; PingoLH/Pytorch-HarDNet",
    published=Published(
        parameters=3_480_000, macs=0.43e9, tolerance=0.03, source="hailo_model_zoo: 3.48 M parameters, 0.43 GMAC"
    ),
)
