"""VGG networks (Simonyan and Zisserman 2015, Very Deep Convolutional Networks, Table 1, columns D and E)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["Vgg"]

_SOURCE = "Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition, Table 1"
_CHANNELS = (64, 128, 256, 512, 512)


@dataclass(frozen=True, slots=True)
class Vgg:
    """Convolutions of each of the five stages, with batch normalisation or without.

    ``convolutional``: the first two fully connected layers are convolutions of 7 x 7 and 1 x 1 places, and what larger
    images leave of places is averaged after them.
    """

    depths: tuple[int, int, int, int, int]
    normalised: bool = False
    convolutional: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self.features(b, image)
        if self.convolutional:
            for place, kernel in ((6, 7), (7, 1)):
                x = layers.activation(b, layers.conv(b, x, 4096, kernel, padding=0, name=f"fc{place}"), "relu")
            return layers.linear(b, layers.global_average(b, x), classes, name="fc8")
        x = layers.flatten(b, layers.adaptive_average(b, x, 7))
        for place in (6, 7):
            x = layers.activation(b, layers.linear(b, x, 4096, name=f"fc{place}"), "relu")
        return layers.linear(b, x, classes, name="fc8")

    def features(self, b: GraphBuilder, image: Tensor) -> Tensor:
        """(batch, 512, height / 32, width / 32), what the convolutions make."""
        x = image
        for stage, (depth, channels) in enumerate(zip(self.depths, _CHANNELS, strict=True)):
            for place in range(depth):
                name = f"conv{stage + 1}_{place + 1}"
                x = layers.conv(b, x, channels, 3, name=name)
                x = layers.batch_norm(b, x, name=f"{name}_bn") if self.normalised else x
                x = layers.activation(b, x, "relu")
            x = layers.pool(b, x, "max", 2, name=f"pool{stage + 1}")
        return x


for _name, _column, _network, _parameters, _macs in (
    ("vgg16", "D", Vgg((2, 2, 3, 3, 3)), 138_357_544, 15.4703e9),
    ("vgg19", "E", Vgg((2, 2, 4, 4, 4)), 143_667_240, 19.632e9),
):
    image_network(
        _name,
        _network,
        title=f"VGG-{_name[-2:]}",
        source=f"{_SOURCE}, column {_column}",
        published=torchvision(_parameters, _macs),
        what="Image classifier of plain 3x3 convolutions and wide fully connected layers.",
        minimum=224,
    )
