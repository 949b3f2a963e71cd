"""AlexNet on one device (Krizhevsky 2014, One Weird Trick for Parallelizing Convolutional Neural Networks)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["alexnet"]

_CONVOLUTIONS = (
    # channels, kernel, stride, padding, pooled after
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)


@workload(
    title="AlexNet",
    source="Krizhevsky 2014, One Weird Trick for Parallelizing Convolutional Neural Networks; layers as in torchvision",
    item="image",
    minimum={"height": 223, "width": 223},
    published=Published(parameters=61_100_840, macs=0.7142e9, source="torchvision weight metadata (num_params, _ops)"),
)
def alexnet(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of five convolutions and three fully connected layers.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("alexnet")
    x = b.input("image", (batch, 3, height, width))
    for place, (channels, kernel, stride, padding, pooled) in enumerate(_CONVOLUTIONS):
        x = layers.conv(b, x, channels, kernel, stride=stride, padding=padding, name=f"conv{place + 1}")
        x = layers.activation(b, x, "relu")
        if pooled:
            x = layers.pool(b, x, "max", 3, stride=2, name=f"pool{place + 1}")
    x = layers.flatten(b, layers.adaptive_average(b, x, 6))
    for place in (6, 7):
        x = layers.activation(b, layers.linear(b, x, 4096, name=f"fc{place}"), "relu")
    return b.build([layers.linear(b, x, classes, name="fc8")], items=batch, item="image")
