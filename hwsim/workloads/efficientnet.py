"""EfficientNets (Tan and Le 2019, EfficientNet: Rethinking Model Scaling for CNNs, Table 1 and section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["EfficientNet"]

_SOURCE = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, Table 1"
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


@dataclass(frozen=True, slots=True)
class EfficientNet:
    """The base network with its channels and depths multiplied (section 3.2)."""

    width: float = 1.0
    depth: float = 1.0

    def _channels(self, base: int) -> int:
        return layers.divisible(base * self.width)

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self.levels(b, image)[-1]
        x = layers.conv_bn_act(b, x, 4 * x.shape[1], 1, act="silu", name="head")
        return layers.linear(b, layers.global_average(b, x), classes, name="classifier")

    def levels(self, b: GraphBuilder, image: Tensor, blocks: Sequence[int] = ()) -> list[Tensor]:
        """Features after so many blocks each, the last of them at the end; after all unless told otherwise."""
        x = layers.conv_bn_act(b, image, self._channels(32), 3, stride=2, act="silu", name="stem")
        rows = [
            (expansion, kernel, stride, self._channels(channels))
            for expansion, kernel, first_stride, channels, count in _STAGES
            for stride in (first_stride, *[1] * (math.ceil(count * self.depth) - 1))
        ]
        found = []
        for place, row in enumerate(rows[: max(blocks, default=len(rows))], start=1):
            with b.scope(f"block{place - 1}"):
                x = _mbconv(b, x, *row)
            if place in (blocks or (len(rows),)):
                found.append(x)
        return found


def _mbconv(b: GraphBuilder, x: Tensor, expansion: int, kernel: int, stride: int, channels: int) -> Tensor:
    """Inverted residual with squeeze-and-excite; the squeezed width is a quarter of the block's input."""
    hidden = x.shape[1] * expansion
    y = layers.conv_bn_act(b, x, hidden, 1, act="silu", name="expand") if expansion > 1 else x
    y = layers.conv_bn_act(b, y, hidden, kernel, stride=stride, groups=hidden, act="silu", name="depthwise")
    y = layers.squeeze_excite(b, y, max(1, x.shape[1] // 4), act="silu", gate="sigmoid")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


for _name, _network, _size, _parameters, _macs in (
    ("efficientnet_b0", EfficientNet(), 224, 5_288_548, 0.386e9),
    ("efficientnet_b1", EfficientNet(1.0, 1.1), 240, 7_794_184, 0.687e9),
    ("efficientnet_b4", EfficientNet(1.4, 1.8), 380, 19_341_616, 4.394e9),
):
    image_network(
        _name,
        _network,
        title=f"EfficientNet-{_name[-2:].upper()}",
        source=_SOURCE,
        published=torchvision(_parameters, _macs),
        what="Image classifier found by architecture search, scaled in width, depth and resolution.",
        size=_size,
    )
