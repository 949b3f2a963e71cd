"""MobileNetV2 (Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, Table 2)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["mobilenet_v2"]

_STAGES = (
    # expansion, channels, blocks, stride of the first: columns t, c, n, s of Table 2
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _inverted_residual(b: GraphBuilder, x: Tensor, expansion: int, channels: int, stride: int) -> Tensor:
    """1x1 to a wide layer, depthwise 3x3, 1x1 without activation; a residual where the shape stays."""
    hidden = x.shape[1] * expansion
    y = layers.conv_bn_act(b, x, hidden, 1, act="relu6", name="expand") if expansion > 1 else x
    y = layers.conv_bn_act(b, y, hidden, 3, stride=stride, groups=hidden, act="relu6", name="depthwise")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


@workload(
    title="MobileNetV2 1.0",
    source="Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, Table 2",
    item="image",
    minimum={"height": 32, "width": 32},
    published=Published(parameters=3_504_872, macs=0.3008e9, source="torchvision weight metadata (num_params, _ops)"),
)
def mobilenet_v2(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of inverted residual blocks with depthwise convolutions.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("mobilenet_v2")
    x = b.input("image", (batch, 3, height, width))
    x = layers.conv_bn_act(b, x, 32, 3, stride=2, act="relu6", name="stem")
    place = 0
    for expansion, channels, count, first_stride in _STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            with b.scope(f"block{place}"):
                x = _inverted_residual(b, x, expansion, channels, stride)
            place += 1
    x = layers.conv_bn_act(b, x, 1280, 1, act="relu6", name="head")
    y = layers.linear(b, layers.global_average(b, x), classes, name="classifier")
    return b.build([y], items=batch, item="image")
