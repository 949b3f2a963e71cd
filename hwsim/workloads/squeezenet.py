"""SqueezeNet 1.1 (Iandola et al. 2016, SqueezeNet, Table 1, and the authors' release of version 1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["fire", "squeezenet1_1", "squeezenet1_1_fires"]

_FIRES = (
    # squeezed channels, channels of each expansion, pooled before
    (16, 64, True),
    (16, 64, False),
    (32, 128, True),
    (32, 128, False),
    (48, 192, True),
    (48, 192, False),
    (64, 256, False),
    (64, 256, False),
)


_FIRES_1_0 = (
    (16, 64, True),
    (16, 64, False),
    (32, 128, False),
    (32, 128, True),
    (48, 192, False),
    (48, 192, False),
    (64, 256, False),
    (64, 256, True),
)


def _conv_relu(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    return layers.activation(b, layers.conv(b, x, channels, kernel, name=name), "relu", name=f"{name}_relu")


def fire(b: GraphBuilder, x: Tensor, squeezed: int, expanded: int) -> Tensor:
    """1x1 to few channels, then 1x1 and 3x3 side by side."""
    x = _conv_relu(b, x, squeezed, 1, "squeeze")
    return b.add(Concat(1), _conv_relu(b, x, expanded, 1, "expand1"), _conv_relu(b, x, expanded, 3, "expand3"))


def _fires(b: GraphBuilder, x: Tensor, stem: tuple[int, int], fires: Sequence[tuple[int, int, bool]]) -> list[Tensor]:
    """The output of each fire module."""
    channels, kernel = stem
    x = layers.activation(b, layers.conv(b, x, channels, kernel, stride=2, padding=0, name="stem"), "relu")
    found = []
    for place, (squeezed, expanded, pooled) in enumerate(fires):
        if pooled:
            x = layers.pool(b, x, "max", 3, stride=2, ceil=True)
        with b.scope(f"fire{place + 2}"):
            x = fire(b, x, squeezed, expanded)
        found.append(x)
    return found


def squeezenet1_1_fires(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """The output of each fire module of version 1.1, as detectors take them."""
    return _fires(b, image, (64, 3), _FIRES)


def _network(
    b: GraphBuilder, x: Tensor, stem: tuple[int, int], fires: Sequence[tuple[int, int, bool]], classes: int
) -> Tensor:
    """Logits; ``stem``: channels and window, ``fires``: channels squeezed and expanded to, pooled before."""
    x = _fires(b, x, stem, fires)[-1]
    return layers.global_average(b, _conv_relu(b, x, classes, 1, "classifier"))


@workload(
    title="SqueezeNet 1.1",
    source="Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters; version 1.1",
    item="image",
    minimum={"height": 17, "width": 17},
    published=Published(parameters=1_235_496, macs=0.3492e9, source="torchvision weight metadata (num_params, _ops)"),
)
def squeezenet1_1(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Small image classifier of fire modules.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("squeezenet1_1")
    x = b.input("image", (batch, 3, height, width))
    y = _network(b, x, (64, 3), _FIRES, classes)
    return b.build([y], items=batch, item="image")


@workload(
    title="SqueezeNet 1.0",
    source="Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
    item="image",
    minimum={"height": 17, "width": 17},
    published=Published(parameters=1_248_424, macs=0.819e9, source="torchvision weight metadata (num_params, _ops)"),
)
def squeezenet1_0(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Small image classifier of fire modules.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("squeezenet1_0")
    x = b.input("image", (batch, 3, height, width))
    y = _network(b, x, (96, 7), _FIRES_1_0, classes)
    return b.build([y], items=batch, item="image")
