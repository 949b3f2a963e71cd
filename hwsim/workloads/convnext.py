"""ConvNeXt (Liu et al. 2022, A ConvNet for the 2020s, Table 9) and V2 (Woo et al. 2023)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.div import Div
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision
from hwsim.workloads.image_layers import channel_norm, rounded

__all__ = ["ConvNeXt"]

_TO_LAST = Transpose((0, 2, 3, 1))
_TO_SECOND = Transpose((0, 3, 1, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvNeXt:
    """Blocks and channels of each stage.

    ``pointwise``: the perceptrons are 1x1 convolutions instead of linear layers on channels last. ``responses``: they
    normalise responses over the image instead of scaling the result (V2, equation 1). ``stem``: "patch", or
    "overlap" or "tiered" for two 3x3 convolutions of the full or half the width first. ``hidden``: width of a layer
    before the last. ``norm_first``: normalise before the mean over positions.
    """

    depths: tuple[int, int, int, int] = (3, 3, 9, 3)
    channels: tuple[int, int, int, int] = (96, 192, 384, 768)
    pointwise: bool = False
    responses: bool = False
    stem: str = "patch"
    hidden: int = 0
    norm_first: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for stage, (depth, channels) in enumerate(zip(self.depths, self.channels, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage == 0:
                    x = self._stem(b, x, channels)
                else:
                    x = channel_norm(b, x, "downsample_norm")
                    x = layers.conv(b, x, channels, 2, stride=2, padding=0, name="downsample")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._block(b, x)
        return self._classify(b, x, classes)

    def _stem(self, b: GraphBuilder, x: Tensor, channels: int) -> Tensor:
        if self.stem == "patch":
            x = layers.conv(b, x, channels, 4, stride=4, padding=0, name="stem")
        else:
            first = rounded(channels // 2) if self.stem == "tiered" else channels
            x = layers.conv(b, x, first, 3, stride=2, name="stem0")
            x = layers.conv(b, x, channels, 3, stride=2, name="stem1")
        return channel_norm(b, x, "stem_norm")

    def _classify(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        if self.norm_first:
            y = layers.global_average(b, channel_norm(b, x, "norm"))
        else:
            y = b.add(Reshape((x.shape[0], x.shape[1], 1, 1)), layers.global_average(b, x))
            y = layers.flatten(b, channel_norm(b, y, "norm"))
        if self.hidden:
            y = layers.activation(b, layers.linear(b, y, self.hidden, name="pre_logits"), "gelu")
        return layers.linear(b, y, classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Depthwise 7x7, then a two-layer perceptron over the channels, scaled and added."""
        channels = x.shape[1]
        y = layers.conv(b, x, channels, 7, groups=channels, name="depthwise")
        if self.pointwise:
            y = channel_norm(b, y, "norm")
            y = layers.activation(b, layers.conv(b, y, 4 * channels, 1, name="up"), "gelu")
            y = self._normalised(b, y, (2, 3), 1) if self.responses else y
            y = layers.conv(b, y, channels, 1, name="down")
        else:
            y = layers.layer_norm(b, b.add(_TO_LAST, y), kept=True)
            with b.scope("mlp"):
                y = layers.activation(b, layers.linear(b, y, 4 * channels, name="up"), "gelu")
                y = self._normalised(b, y, (1, 2), 3) if self.responses else y
                y = layers.linear(b, y, channels, name="down")
            y = b.add(_TO_SECOND, y)
        if not self.responses:
            y = layers.multiply(b, y, b.weight("scale", (channels, 1, 1)), name="layer_scale")
        return layers.add(b, x, y)

    def _normalised(self, b: GraphBuilder, x: Tensor, positions: tuple[int, int], axis: int) -> Tensor:
        """X + beta + gamma x n, n the norm of each channel over the image divided by its mean over channels."""
        shape = (x.shape[axis], 1, 1) if axis == 1 else (x.shape[axis],)
        with b.scope("responses"):
            norms = b.add(ReduceAxes("l2", positions, True), x)
            ratio = b.add(Div(), norms, b.add(ReduceAxes("mean", (axis,), True), norms))
            y = layers.multiply(b, layers.multiply(b, x, ratio), b.weight("gamma", shape), name="scaled")
            return layers.add(b, x, layers.add(b, y, b.weight("beta", shape), name="shifted"))


image_network(
    "convnext_tiny",
    ConvNeXt(),
    title="ConvNeXt-T",
    source="Liu et al. 2022, A ConvNet for the 2020s, Table 9; layers as in torchvision",
    published=torchvision(28_589_128, 4.4555e9),
    what="Image classifier of large depthwise convolutions and layer norms.",
)
