"""ResNets for images, and their descendants: grouped or wider convolutions, deeper stems, gates, softer strides.

As torchvision has them: in a bottleneck the 3x3 convolution carries the stride ("v1.5").
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["ResNet"]

_HE = "He et al. 2016, Deep Residual Learning for Image Recognition, Table 1; layers as in torchvision"
_XIE = "Xie et al. 2017, Aggregated Residual Transformations for Deep Neural Networks, Table 1"
_ZAGORUYKO = "Zagoruyko and Komodakis 2016, Wide Residual Networks, section 3; layers as in torchvision"


@dataclass(frozen=True, slots=True)
class ResNet:
    """Blocks of each of the four stages; inner convolutions have ``groups`` and ``group_width`` / 64 of the width.

    ``stem``: channels of its 3x3 convolutions (He et al. 2019, Bag of Tricks, Fig. 2c), or none for one of 7x7;
    ``average_down``: shortcuts are pooled before they are projected (Fig. 2d). ``gate``: "se" with the share
    ``squeeze``, "eca" or none. ``soft``: how strides are made, "blur" or "average" after a convolution of stride 1.
    ``strided_stem``: a convolution instead of the first pooling (Bello et al. 2021, Revisiting ResNets).
    ``norm_groups``: group normalisation instead of batch normalisation. ``down_kernel``: window of projections that
    halve, ``reduced``: the first convolution of a block is narrower by that factor.
    """

    depths: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    group_width: int = 64
    stem: tuple[int, ...] = ()
    average_down: bool = False
    gate: str = ""
    squeeze: float = 1 / 16
    soft: str = ""
    strided_stem: bool = False
    norm_groups: int = 0
    down_kernel: int = 1
    reduced: int = 1

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        return layers.linear(b, layers.global_average(b, self.features(b, image)), classes, name="fc")

    def features(self, b: GraphBuilder, image: Tensor, stages: int = 4) -> Tensor:
        """What the first ``stages`` stages make of the images."""
        x = self._stem(b, image)
        block = self._bottleneck if self.bottleneck else self._basic
        for stage, depth in enumerate(self.depths[:stages]):
            for place in range(depth):
                stride = 2 if stage > 0 and place == 0 else 1
                with b.scope(f"layer{stage + 1}.{place}"):
                    y = self._gated(b, block(b, x, 64 << stage, stride))
                    if y.shape != x.shape:
                        x = self._shortcut(b, x, y.shape[1], stride)
                    x = layers.activation(b, layers.add(b, y, x), "relu")
        return x

    def _stem(self, b: GraphBuilder, image: Tensor) -> Tensor:
        if self.stem:
            x = image
            for place, channels in enumerate(self.stem):
                x = self._conv(b, x, channels, 3, stride=1 if place else 2, name=f"stem{place}")
        else:
            x = self._conv(b, image, 64, 7, stride=2, name="stem")
        if self.strided_stem:
            return self._conv(b, x, x.shape[1], 3, stride=2, name="stem_down")
        if self.soft == "average":
            return layers.pool(b, x, "average", 2, name="stem_pool")
        if self.soft == "blur":
            x = layers.pool(b, x, "max", 3, stride=1, padding=1, name="maxpool")
            return image_layers.blur(b, x, 3, 2, name="stem_blur")
        return layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")

    def _shortcut(self, b: GraphBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
        if self.average_down and stride > 1:
            x = layers.pool(b, x, "average", 2, ceil=True, name="downsample_pool")
            stride = 1
        kernel = 1 if stride == 1 else self.down_kernel
        return self._conv(b, x, channels, kernel, stride=stride, act="", name="downsample")

    def _gated(self, b: GraphBuilder, y: Tensor) -> Tensor:
        if self.gate == "se":
            return image_layers.channel_gate(b, y, self.squeeze)
        return image_layers.efficient_gate(b, y) if self.gate == "eca" else y

    def _basic(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """Two 3x3 convolutions."""
        y = self._strided(b, x, width, stride, 1, "conv1")
        return self._conv(b, y, width, 3, act="", name="conv2")

    def _bottleneck(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """1x1 to the inner width, 3x3, 1x1 to four times the stage's width."""
        inner = width * self.group_width // 64 * self.groups
        y = self._conv(b, x, inner // self.reduced, 1, name="conv1")
        y = self._strided(b, y, inner, stride, self.groups, "conv2")
        return self._conv(b, y, 4 * width, 1, act="", name="conv3")

    def _strided(self, b: GraphBuilder, x: Tensor, channels: int, stride: int, groups: int, name: str) -> Tensor:
        if stride == 1 or not self.soft:
            return self._conv(b, x, channels, 3, stride=stride, groups=groups, name=name)
        x = self._conv(b, x, channels, 3, groups=groups, name=name)
        if self.soft == "average":
            return layers.pool(b, x, "average", stride, name=f"{name}_pool")
        return image_layers.blur(b, x, 3, stride, name=f"{name}_blur")

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        act: str = "relu",
        name: str,
    ) -> Tensor:
        if not self.norm_groups:
            return layers.conv_bn_act(b, x, channels, kernel, stride=stride, groups=groups, act=act, name=name)
        x = layers.conv(b, x, channels, kernel, stride=stride, groups=groups, bias=False, name=name)
        x = layers.group_norm(b, x, self.norm_groups, name=f"{name}_gn")
        return layers.activation(b, x, act, name=f"{name}_{act}")


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
