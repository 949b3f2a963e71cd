"""CenterNet: objects as points of a map at a quarter of the size (Zhou et al. 2019, Objects as Points).

A ResNet, three transposed convolutions, three heads; as gluon-cv has it, from memory, checked by its counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.backbones import resnet_levels, resnet_stem
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.segmentation import transposed_conv

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class CenterNet:
    """Stages of the ResNet."""

    depths: tuple[int, int, int, int]
    bottleneck: bool

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Maps of centres by class, of sizes, of offsets."""
        x = resnet_levels(b, resnet_stem(b, image), self.depths, bottleneck=self.bottleneck)[-1]
        for place, width in enumerate((256, 128, 64)):
            x = layers.conv_bn_act(b, x, width, 3, name=f"conv{place}")
            x = layers.batch_norm(b, transposed_conv(b, x, width, 4, 2, name=f"up{place}"), f"up{place}_bn")
            x = layers.activation(b, x, "relu")
        found = []
        for name, outputs in (("centres", classes), ("sizes", 2), ("offsets", 2)):
            y = layers.activation(b, layers.conv(b, x, 64, 3, name=name), "relu")
            found.append(layers.conv(b, y, outputs, 1, name=f"{name}_out"))
        return tuple(found)


for _name, _network, _parameters in (
    ("centernet_resnet18", CenterNet((2, 2, 2, 2), False), 14.22e6),
    ("centernet_resnet50", CenterNet((3, 4, 6, 3), True), 30.07e6),
):
    image_network(
        _name,
        _network,
        title=f"CenterNet on ResNet-{_name[-2:]}",
        source="Zhou et al. 2019, Objects as Points, section 5; dmlc/gluon-cv, center_net",
        published=Published(
            parameters=int(_parameters),
            tolerance=0.01,
            source="hailo_model_zoo, public models; its 15.6 and 28.5 GMAC count zeros of transposed convolutions",
        ),
        what="Object detector without anchors (maxima of its maps are not looked for).",
        size=512,
        labels=80,
    )
