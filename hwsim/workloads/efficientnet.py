"""EfficientNet (Tan and Le 2019, EfficientNet: Rethinking Model Scaling for CNNs, Table 1)."""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["efficientnet_b0"]

_STAGES = (
    # expansion, kernel, stride of the first, channels, blocks: stages 2 to 8 of Table 1
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def _mbconv(b: GraphBuilder, x: Tensor, expansion: int, kernel: int, stride: int, channels: int) -> Tensor:
    """Inverted residual with squeeze-and-excite; the squeezed width is a quarter of the block's input."""
    hidden = x.shape[1] * expansion
    y = layers.conv_bn_act(b, x, hidden, 1, act="silu", name="expand") if expansion > 1 else x
    y = layers.conv_bn_act(b, y, hidden, kernel, stride=stride, groups=hidden, act="silu", name="depthwise")
    y = layers.squeeze_excite(b, y, max(1, x.shape[1] // 4), act="silu", gate="sigmoid")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


@workload(
    title="EfficientNet-B0",
    source="Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, Table 1",
    item="image",
    minimum={"height": 32, "width": 32},
    published=Published(parameters=5_288_548, macs=0.3858e9, source="torchvision weight metadata (num_params, _ops)"),
)
def efficientnet_b0(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier found by architecture search, baseline of its family.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    b = GraphBuilder("efficientnet_b0")
    x = b.input("image", (batch, 3, height, width))
    x = layers.conv_bn_act(b, x, 32, 3, stride=2, act="silu", name="stem")
    place = 0
    for expansion, kernel, first_stride, channels, count in _STAGES:
        for stride in (first_stride, *[1] * (count - 1)):
            with b.scope(f"block{place}"):
                x = _mbconv(b, x, expansion, kernel, stride, channels)
            place += 1
    x = layers.conv_bn_act(b, x, 1280, 1, act="silu", name="head")
    y = layers.linear(b, layers.global_average(b, x), classes, name="classifier")
    return b.build([y], items=batch, item="image")
