"""GoogLeNet (Szegedy et al. 2015, Going Deeper with Convolutions, Table 1), with batch norms."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__: list[str] = []

_Row = tuple[int, int, int, int, int, int]
"""Channels of the 1x1, the 3x3 (reduced, made), the second 3x3 (reduced, made) and the pooled branch."""

_STAGES: tuple[tuple[int, tuple[_Row, ...]], ...] = (
    # window of the max pooling behind (0: none), modules
    (3, ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64))),
    (
        2,
        (
            (192, 96, 208, 16, 48, 64),
            (160, 112, 224, 24, 64, 64),
            (128, 128, 256, 24, 64, 64),
            (112, 144, 288, 32, 64, 64),
            (256, 160, 320, 32, 128, 128),
        ),
    ),
    (0, ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128))),
)


def _module(b: GraphBuilder, x: Tensor, row: _Row) -> Tensor:
    """Four branches side by side; where the paper has 5x5, torchvision's weights have 3x3."""
    one, reduced, three, reduced_more, five, pooled = row
    first = layers.conv_bn_act(b, x, one, 1, name="branch1")
    y = layers.conv_bn_act(b, x, reduced, 1, name="branch2.0")
    second = layers.conv_bn_act(b, y, three, 3, name="branch2.1")
    y = layers.conv_bn_act(b, x, reduced_more, 1, name="branch3.0")
    third = layers.conv_bn_act(b, y, five, 3, name="branch3.1")
    y = layers.pool(b, x, "max", 3, stride=1, padding=1, ceil=True)
    fourth = layers.conv_bn_act(b, y, pooled, 1, name="branch4")
    return b.add(Concat(1), first, second, third, fourth)


def _googlenet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes); the auxiliary classifiers serve training only."""
    x = layers.conv_bn_act(b, image, 64, 7, stride=2, name="conv1")
    x = layers.pool(b, x, "max", 3, stride=2, ceil=True)
    x = layers.conv_bn_act(b, layers.conv_bn_act(b, x, 64, 1, name="conv2"), 192, 3, name="conv3")
    x = layers.pool(b, x, "max", 3, stride=2, ceil=True)
    for stage, (window, rows) in enumerate(_STAGES):
        for place, row in enumerate(rows):
            with b.scope(f"inception{stage + 3}{'abcde'[place]}"):
                x = _module(b, x, row)
        if window:
            x = layers.pool(b, x, "max", window, stride=2, ceil=True)
    return layers.linear(b, layers.global_average(b, x), classes, name="fc")


image_network(
    "googlenet",
    _googlenet,
    title="GoogLeNet (Inception v1)",
    source="Szegedy et al. 2015, Going Deeper with Convolutions, Table 1; layers as in torchvision",
    published=torchvision(6_624_904, 1.498e9),
    what="Image classifier of modules with four branches.",
)
