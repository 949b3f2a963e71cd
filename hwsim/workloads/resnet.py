"""ResNets for images, and their descendants with grouped or wider convolutions.

As torchvision has them: in a bottleneck the 3x3 convolution carries the stride ("v1.5").
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["ResNet"]

_HE = "He et al. 2016, Deep Residual Learning for Image Recognition, Table 1; layers as in torchvision"
_XIE = "Xie et al. 2017, Aggregated Residual Transformations for Deep Neural Networks, Table 1"
_ZAGORUYKO = "Zagoruyko and Komodakis 2016, Wide Residual Networks, section 3; layers as in torchvision"


@dataclass(frozen=True, slots=True)
class ResNet:
    """Blocks of each of the four stages; inner convolutions have ``groups`` and ``group_width`` / 64 of the width."""

    depths: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    group_width: int = 64

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, 64, 7, stride=2, name="stem")
        x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
        block = self._bottleneck if self.bottleneck else self._basic
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                stride = 2 if stage > 0 and place == 0 else 1
                with b.scope(f"layer{stage + 1}.{place}"):
                    y = block(b, x, 64 << stage, stride)
                    if y.shape != x.shape:
                        x = layers.conv_bn_act(b, x, y.shape[1], 1, stride=stride, act="", name="downsample")
                    x = layers.activation(b, layers.add(b, y, x), "relu")
        return layers.linear(b, layers.global_average(b, x), classes, name="fc")

    def _basic(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """Two 3x3 convolutions."""
        y = layers.conv_bn_act(b, x, width, 3, stride=stride, name="conv1")
        return layers.conv_bn_act(b, y, width, 3, act="", name="conv2")

    def _bottleneck(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """1x1 to the inner width, 3x3, 1x1 to four times the stage's width."""
        inner = width * self.group_width // 64 * self.groups
        y = layers.conv_bn_act(b, x, inner, 1, name="conv1")
        y = layers.conv_bn_act(b, y, inner, 3, stride=stride, groups=self.groups, name="conv2")
        return layers.conv_bn_act(b, y, 4 * width, 1, act="", name="conv3")


for _name, _title, _source, _network, _parameters, _macs in (
    ("resnet18", "ResNet-18", _HE, ResNet((2, 2, 2, 2), bottleneck=False), 11_689_512, 1.814e9),
    ("resnet34", "ResNet-34", _HE, ResNet((3, 4, 6, 3), bottleneck=False), 21_797_672, 3.664e9),
    ("resnet50", "ResNet-50", _HE, ResNet((3, 4, 6, 3)), 25_557_032, 4.089e9),
    ("resnet101", "ResNet-101", _HE, ResNet((3, 4, 23, 3)), 44_549_160, 7.801e9),
    ("resnet152", "ResNet-152", _HE, ResNet((3, 8, 36, 3)), 60_192_808, 11.514e9),
    ("resnext50_32x4d", "ResNeXt-50 32x4d", _XIE, ResNet((3, 4, 6, 3), True, 32, 4), 25_028_904, 4.23e9),
    ("wide_resnet50_2", "Wide ResNet-50-2", _ZAGORUYKO, ResNet((3, 4, 6, 3), True, 1, 128), 68_883_240, 11.398e9),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=_source,
        published=torchvision(_parameters, _macs),
        what=f"Image classifier of {2 + sum(_network.depths) * (3 if _network.bottleneck else 2)} layers.",
    )
