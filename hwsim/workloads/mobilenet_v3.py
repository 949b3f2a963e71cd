"""MobileNetV3 (Howard et al. 2019, Searching for MobileNetV3, Tables 1 and 2)."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["mobilenet_v3_large", "mobilenet_v3_small"]

_SOURCE = "Howard et al. 2019, Searching for MobileNetV3"
_COUNTED = "torchvision weight metadata (num_params, _ops)"
_MINIMUM = {"height": 32, "width": 32}

_Row = tuple[int, int, int, bool, str, int]
"""kernel, expanded channels, output channels, squeeze-and-excite, activation, stride."""

_LARGE: Sequence[_Row] = (  # Table 1
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hardswish", 2),
    (3, 200, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 480, 112, True, "hardswish", 1),
    (3, 672, 112, True, "hardswish", 1),
    (5, 672, 160, True, "hardswish", 2),
    (5, 960, 160, True, "hardswish", 1),
    (5, 960, 160, True, "hardswish", 1),
)
_SMALL: Sequence[_Row] = (  # Table 2
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hardswish", 2),
    (5, 240, 40, True, "hardswish", 1),
    (5, 240, 40, True, "hardswish", 1),
    (5, 120, 48, True, "hardswish", 1),
    (5, 144, 48, True, "hardswish", 1),
    (5, 288, 96, True, "hardswish", 2),
    (5, 576, 96, True, "hardswish", 1),
    (5, 576, 96, True, "hardswish", 1),
)


def _divisible(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth below; squeezed widths are rounded so."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _block(b: GraphBuilder, x: Tensor, row: _Row) -> Tensor:
    kernel, expanded, channels, excited, act, stride = row
    y = layers.conv_bn_act(b, x, expanded, 1, act=act, name="expand") if expanded != x.shape[1] else x
    y = layers.conv_bn_act(b, y, expanded, kernel, stride=stride, groups=expanded, act=act, name="depthwise")
    if excited:
        y = layers.squeeze_excite(b, y, _divisible(expanded / 4), act="relu", gate="hardsigmoid")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


def _mobilenet(
    name: str, rows: Sequence[_Row], last: int, *, batch: int, height: int, width: int, classes: int
) -> Graph:
    b = GraphBuilder(name)
    x = b.input("image", (batch, 3, height, width))
    x = layers.conv_bn_act(b, x, 16, 3, stride=2, act="hardswish", name="stem")
    for place, row in enumerate(rows):
        with b.scope(f"block{place}"):
            x = _block(b, x, row)
    x = layers.conv_bn_act(b, x, 6 * x.shape[1], 1, act="hardswish", name="head")
    y = layers.linear(b, layers.global_average(b, x), last, name="classifier0")
    y = layers.activation(b, y, "hardswish")
    y = layers.linear(b, y, classes, name="classifier1")
    return b.build([y], items=batch, item="image")


@workload(
    title="MobileNetV3-Large 1.0",
    source=f"{_SOURCE}, Table 1",
    item="image",
    minimum=_MINIMUM,
    published=Published(parameters=5_483_032, macs=0.2166e9, source=_COUNTED),
)
def mobilenet_v3_large(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier with squeeze-and-excite blocks and hard-swish.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    return _mobilenet("mobilenet_v3_large", _LARGE, 1280, batch=batch, height=height, width=width, classes=classes)


@workload(
    title="MobileNetV3-Small 1.0",
    source=f"{_SOURCE}, Table 2",
    item="image",
    minimum=_MINIMUM,
    published=Published(parameters=2_542_856, macs=0.0565e9, source=_COUNTED),
)
def mobilenet_v3_small(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Smaller image classifier with squeeze-and-excite blocks and hard-swish.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    return _mobilenet("mobilenet_v3_small", _SMALL, 1024, batch=batch, height=height, width=width, classes=classes)
