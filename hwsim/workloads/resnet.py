"""ResNets for images (He et al. 2016, Deep Residual Learning for Image Recognition, Table 1).

As torchvision has them: in a bottleneck the 3x3 convolution carries the stride ("v1.5").
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]

_SOURCE = "He et al. 2016, Deep Residual Learning for Image Recognition, Table 1; layers as in torchvision"
_MINIMUM = {"height": 32, "width": 32}


def _published(parameters: int, macs: float) -> Published:
    return Published(parameters=parameters, macs=macs, source="torchvision weight metadata (num_params, _ops)")


def _basic(b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
    """Two 3x3 convolutions."""
    y = layers.conv_bn_act(b, x, width, 3, stride=stride, name="conv1")
    return layers.conv_bn_act(b, y, width, 3, act="", name="conv2")


def _bottleneck(b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
    """1x1 to a narrow width, 3x3, 1x1 to four times that width."""
    y = layers.conv_bn_act(b, x, width, 1, name="conv1")
    y = layers.conv_bn_act(b, y, width, 3, stride=stride, name="conv2")
    return layers.conv_bn_act(b, y, 4 * width, 1, act="", name="conv3")


def _resnet(
    name: str, depths: Sequence[int], *, bottleneck: bool, batch: int, height: int, width: int, classes: int
) -> Graph:
    block = _bottleneck if bottleneck else _basic
    b = GraphBuilder(name)
    x = b.input("image", (batch, 3, height, width))
    x = layers.conv_bn_act(b, x, 64, 7, stride=2, name="stem")
    x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
    for stage, depth in enumerate(depths):
        for place in range(depth):
            stride = 2 if stage > 0 and place == 0 else 1
            with b.scope(f"layer{stage + 1}.{place}"):
                y = block(b, x, 64 << stage, stride)
                if y.shape != x.shape:
                    x = layers.conv_bn_act(b, x, y.shape[1], 1, stride=stride, act="", name="downsample")
                x = layers.activation(b, layers.add(b, y, x), "relu")
    y = layers.linear(b, layers.global_average(b, x), classes, name="fc")
    return b.build([y], items=batch, item="image")


@workload(title="ResNet-18", source=_SOURCE, item="image", minimum=_MINIMUM, published=_published(11_689_512, 1.814e9))
def resnet18(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of 18 layers in basic blocks.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    depths = (2, 2, 2, 2)
    return _resnet("resnet18", depths, bottleneck=False, batch=batch, height=height, width=width, classes=classes)


@workload(title="ResNet-34", source=_SOURCE, item="image", minimum=_MINIMUM, published=_published(21_797_672, 3.664e9))
def resnet34(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of 34 layers in basic blocks.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    depths = (3, 4, 6, 3)
    return _resnet("resnet34", depths, bottleneck=False, batch=batch, height=height, width=width, classes=classes)


@workload(title="ResNet-50", source=_SOURCE, item="image", minimum=_MINIMUM, published=_published(25_557_032, 4.089e9))
def resnet50(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of 50 layers in bottleneck blocks.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    depths = (3, 4, 6, 3)
    return _resnet("resnet50", depths, bottleneck=True, batch=batch, height=height, width=width, classes=classes)


@workload(title="ResNet-101", source=_SOURCE, item="image", minimum=_MINIMUM, published=_published(44_549_160, 7.801e9))
def resnet101(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of 101 layers in bottleneck blocks.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    depths = (3, 4, 23, 3)
    return _resnet("resnet101", depths, bottleneck=True, batch=batch, height=height, width=width, classes=classes)


@workload(
    title="ResNet-152", source=_SOURCE, item="image", minimum=_MINIMUM, published=_published(60_192_808, 11.514e9)
)
def resnet152(*, batch: int = 1, height: int = 224, width: int = 224, classes: int = 1000) -> Graph:
    """Image classifier of 152 layers in bottleneck blocks.

    Args:
        batch: Images at once.
        height: Image height in pixels.
        width: Image width in pixels.
        classes: Classes told apart.
    """
    depths = (3, 8, 36, 3)
    return _resnet("resnet152", depths, bottleneck=True, batch=batch, height=height, width=width, classes=classes)
