"""MnasNet (Tan et al. 2019, MnasNet: Platform-Aware Neural Architecture Search for Mobile, Fig. 7, B1 variant)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__: list[str] = []

_STAGES = (
    # expansion, kernel, stride of the first, channels, blocks
    (3, 3, 2, 24, 3),
    (3, 5, 2, 40, 3),
    (6, 5, 2, 80, 3),
    (6, 3, 1, 96, 2),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def _inverted_residual(b: GraphBuilder, x: Tensor, expansion: int, kernel: int, stride: int, channels: int) -> Tensor:
    hidden = x.shape[1] * expansion
    y = layers.conv_bn_act(b, x, hidden, 1, name="expand")
    y = layers.conv_bn_act(b, y, hidden, kernel, stride=stride, groups=hidden, name="depthwise")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


def _mnasnet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, name="stem")
    x = layers.conv_bn_act(b, x, 32, 3, groups=32, name="depthwise")
    x = layers.conv_bn_act(b, x, 16, 1, act="", name="project")
    place = 0
    for expansion, kernel, first_stride, channels, count in _STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            with b.scope(f"block{place}"):
                x = _inverted_residual(b, x, expansion, kernel, stride, channels)
            place += 1
    x = layers.conv_bn_act(b, x, 1280, 1, name="head")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "mnasnet1_0",
    _mnasnet,
    title="MnasNet-B1 1.0",
    source="Tan et al. 2019, MnasNet: Platform-Aware Neural Architecture Search for Mobile; layers as in torchvision",
    published=torchvision(4_383_312, 0.3144e9),
    what="Image classifier found by a search with measured latency.",
)
