"""MobileNet (Howard et al. 2017, MobileNets: Efficient CNNs for Mobile Vision Applications, Table 1)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_ROWS = (
    # channels, stride of the depthwise convolution
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)


def _mobilenet_v1(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, name="stem")
    for place, (channels, stride) in enumerate(_ROWS):
        with b.scope(f"block{place}"):
            x = layers.conv_bn_act(b, x, x.shape[1], 3, stride=stride, groups=x.shape[1], name="depthwise")
            x = layers.conv_bn_act(b, x, channels, 1, name="pointwise")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "mobilenet_v1",
    _mobilenet_v1,
    title="MobileNet 1.0",
    source="Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    published=Published(parameters=4_231_976, macs=569e6, source="Howard et al. 2017, Table 4: 569 M MACs, 4.2 M"),
    what="Image classifier of depthwise and pointwise convolutions.",
)
