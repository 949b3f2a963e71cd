"""VGG networks (Simonyan and Zisserman 2015, Very Deep Convolutional Networks, Table 1, columns D and E)."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["vgg16", "vgg19"]

_SOURCE = "Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition, Table 1"
_COUNTED = "torchvision weight metadata (num_params, _ops)"
_MINIMUM = {"height": 224, "width": 224}
_CHANNELS = (64, 128, 256, 512, 512)


def _vgg(name: str, depths: Sequence[int], *, batch: int, height: int, width: int, classes: int) -> Graph:
    b = GraphBuilder(name)
    x = b.input("image", (batch, 3, height, width))
    for stage, (depth, channels) in enumerate(zip(depths, _CHANNELS, strict=True)):
        for place in range(depth):
            x = layers.conv(b, x, channels, 3, name=f"conv{stage + 1}_{place + 1}")
            x = layers.activation(b, x, "relu")
        x = layers.pool(b, x, "max", 2, name=f"pool{stage + 1}")
    x = layers.flatten(b, layers.adaptive_average(b, x, 7))
    for place in (6, 7):
        x = layers.activation(b, layers.linear(b, x, 4096, name=f"fc{place}"), "relu")
    return b.build([layers.linear(b, x, classes, name="fc8")], items=batch, item="image")


@workload(
    title="VGG-16",
    source=f"{_SOURCE}, column D",
    item="image",
    minimum=_MINIMUM,
    published=Published(parameters=138_357_544, macs=15.4703e9, source=_COUNTED),
)
def vgg16(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of plain 3x3 convolutions and wide fully connected layers.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    return _vgg("vgg16", (2, 2, 3, 3, 3), batch=batch, height=height, width=width, classes=classes)


@workload(
    title="VGG-19",
    source=f"{_SOURCE}, column E",
    item="image",
    minimum=_MINIMUM,
    published=Published(parameters=143_667_240, macs=19.632e9, source=_COUNTED),
)
def vgg19(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Deeper image classifier of plain 3x3 convolutions and wide fully connected layers.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    return _vgg("vgg19", (2, 2, 4, 4, 4), batch=batch, height=height, width=width, classes=classes)
