"""DenseNets (Huang et al. 2017, Densely Connected Convolutional Networks, Table 1)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["DenseNet"]


def _norm_relu_conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, name: str) -> Tensor:
    y = layers.activation(b, layers.batch_norm(b, x, name=f"{name}_bn"), "relu")
    return layers.conv(b, y, channels, kernel, bias=False, name=name)


@dataclass(frozen=True, slots=True)
class DenseNet:
    """Layers of each block and what each adds; ``deep_stem``: three 3x3 convolutions; ``blurred``: softer strides."""

    depths: tuple[int, ...] = (6, 12, 24, 16)
    growth: int = 32
    first: int = 64
    deep_stem: bool = False
    blurred: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._stem(b, image)
        for stage, depth in enumerate(self.depths):
            features = [x]
            for place in range(depth):
                with b.scope(f"block{stage + 1}.{place}"):
                    features.append(self._dense_layer(b, features))
            x = b.add(Concat(1), *features, name=f"block{stage + 1}")
            if stage < len(self.depths) - 1:
                x = _norm_relu_conv(b, x, x.shape[1] // 2, 1, f"transition{stage + 1}")
                if self.blurred:
                    x = image_layers.blur(b, x, 3, 2, name=f"blur{stage + 1}")
                else:
                    x = layers.pool(b, x, "average", 2)
        x = layers.activation(b, layers.batch_norm(b, x, name="norm"), "relu")
        return layers.linear(b, layers.global_average(b, x), classes, name="classifier")

    def _stem(self, b: GraphBuilder, image: Tensor) -> Tensor:
        if self.deep_stem:
            x = image
            for place, channels in enumerate((self.growth, self.growth, self.first)):
                x = layers.conv_bn_act(b, x, channels, 3, stride=1 if place else 2, name=f"stem{place}")
        else:
            x = layers.conv_bn_act(b, image, self.first, 7, stride=2, name="stem")
        if not self.blurred:
            return layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
        x = layers.pool(b, x, "max", 3, stride=1, padding=1, name="maxpool")
        return image_layers.blur(b, x, 3, 2, name="stem_blur")

    def _dense_layer(self, b: GraphBuilder, features: list[Tensor]) -> Tensor:
        """1x1 to four times the growth, 3x3 to the growth, on everything made so far in the block."""
        x = b.add(Concat(1), *features) if len(features) > 1 else features[0]
        y = _norm_relu_conv(b, x, 4 * self.growth, 1, "conv1")
        return _norm_relu_conv(b, y, self.growth, 3, "conv2")


image_network(
    "densenet121",
    DenseNet(),
    title="DenseNet-121",
    source="Huang et al. 2017, Densely Connected Convolutional Networks, Table 1",
    published=torchvision(7_978_856, 2.8342e9),
    what="Image classifier in which each layer reads all earlier ones of its block.",
)
