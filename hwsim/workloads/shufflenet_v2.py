"""ShuffleNet V2 (Ma et al. 2018, ShuffleNet V2: Practical Guidelines for Efficient CNN Design, Table 5)."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["shuffled", "shufflenet_v2_stages"]

_UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4."""


def _branch(b: GraphBuilder, x: Tensor, channels: int, stride: int, act: str) -> Tensor:
    """1x1, depthwise 3x3, 1x1."""
    y = layers.conv_bn_act(b, x, channels, 1, act=act, name="conv1")
    y = layers.conv_bn_act(b, y, channels, 3, stride=stride, groups=channels, act="", name="depthwise")
    return layers.conv_bn_act(b, y, channels, 1, act=act, name="conv2")


def shuffled(b: GraphBuilder, x: Tensor) -> Tensor:
    """Channels of two halves interleaved (Fig. 3)."""
    batch, channels, height, width = x.shape
    y = b.add(Reshape((batch, 2, channels // 2, height, width)), x)
    return b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1, 3, 4)), y, name="shuffle"))


def _unit(b: GraphBuilder, x: Tensor, channels: int, stride: int, act: str) -> Tensor:
    half = channels // 2
    if stride == 1:
        kept, turned = b.add_all(Split(1, (half, half)), x)
        return shuffled(b, b.add(Concat(1), kept, _branch(b, turned, half, 1, act)))
    y = layers.conv_bn_act(b, x, x.shape[1], 3, stride=2, groups=x.shape[1], act="", name="side_depthwise")
    y = layers.conv_bn_act(b, y, half, 1, act=act, name="side_conv")
    return shuffled(b, b.add(Concat(1), y, _branch(b, x, half, 2, act)))


def shufflenet_v2_stages(b: GraphBuilder, image: Tensor, widths: Sequence[int], *, act: str = "relu") -> list[Tensor]:
    """Features at strides 8, 16 and 32, of so many channels."""
    x = layers.conv_bn_act(b, image, 24, 3, stride=2, act=act, name="stem")
    x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
    found = []
    for stage, (channels, count) in enumerate(zip(widths, _UNITS, strict=True)):
        for place in range(count):
            with b.scope(f"stage{stage + 2}.{place}"):
                x = _unit(b, x, channels, 2 if place == 0 else 1, act)
        found.append(x)
    return found


def _shufflenet_v2(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = shufflenet_v2_stages(b, image, (116, 232, 464))[-1]
    x = layers.conv_bn_act(b, x, 1024, 1, name="conv5")
    return layers.linear(b, layers.global_average(b, x), classes, name="fc")


image_network(
    "shufflenet_v2_x1_0",
    _shufflenet_v2,
    title="ShuffleNet V2 1.0x",
    source="Ma et al. 2018, ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, Table 5",
    published=torchvision(2_278_604, 0.1449e9),
    what="Image classifier of channel splits and shuffles.",
)
