"""RegNetY (Radosavovic et al. 2020, Designing Network Design Spaces, Fig. 18 and appendix)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["RegNetY"]

_SOURCE = "Radosavovic et al. 2020, Designing Network Design Spaces, appendix; layers as in torchvision"


@dataclass(frozen=True, slots=True)
class RegNetY:
    """Depth and width of each stage, and the width of a group in its 3x3 convolutions."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    group_width: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, 32, 3, stride=2, name="stem")
        for stage, (depth, width) in enumerate(zip(self.depths, self.widths, strict=True)):
            for place in range(depth):
                with b.scope(f"stage{stage + 1}.{place}"):
                    x = self._block(b, x, width, 2 if place == 0 else 1)
        return layers.linear(b, layers.global_average(b, x), classes, name="fc")

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        """1x1, grouped 3x3, squeeze-and-excite to a quarter of the block's input, 1x1."""
        y = layers.conv_bn_act(b, x, width, 1, name="conv1")
        y = layers.conv_bn_act(b, y, width, 3, stride=stride, groups=width // self.group_width, name="conv2")
        y = layers.squeeze_excite(b, y, round(x.shape[1] / 4), act="relu", gate="sigmoid")
        y = layers.conv_bn_act(b, y, width, 1, act="", name="conv3")
        if y.shape != x.shape:
            x = layers.conv_bn_act(b, x, width, 1, stride=stride, act="", name="downsample")
        return layers.activation(b, layers.add(b, x, y), "relu")


image_network(
    "regnet_y_400mf",
    RegNetY((1, 3, 6, 6), (48, 104, 208, 440), 8),
    title="RegNetY-400MF",
    source=_SOURCE,
    published=torchvision(4_344_144, 0.4018e9),
    what="Image classifier of grouped bottlenecks with squeeze-and-excite.",
)
image_network(
    "regnet_y_800mf",
    RegNetY((1, 3, 8, 2), (64, 144, 320, 784), 16),
    title="RegNetY-800MF",
    source=_SOURCE,
    published=torchvision(6_432_512, 0.834e9),
    what="Image classifier of grouped bottlenecks with squeeze-and-excite.",
)
