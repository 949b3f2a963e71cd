"""DETR: a ResNet, then a transformer whose queries are objects (Carion et al. 2020, End-to-End Object Detection)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.backbones import resnet_levels, resnet_stem
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["Detr", "encoded"]

_WIDTH, _HEADS, _QUERIES, _DEPTH, _HIDDEN = 256, 8, 100, 6, 2048


@dataclass(frozen=True, slots=True)
class Detr:
    """Stages of the ResNet; ``dense``: the last stage keeps its size (DC5)."""

    depths: tuple[int, int, int, int]
    bottleneck: bool = True
    dense: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """(batch, 100, classes + 1) and boxes (batch, 100, 4)."""
        x, place = encoded(b, image, self.depths, bottleneck=self.bottleneck, dense=self.dense)
        queries, y = b.state("queries", (1, _QUERIES, _WIDTH)), b.state("target", (x.shape[0], _QUERIES, _WIDTH))
        for step in range(_DEPTH):
            with b.scope(f"decoder{step}"):
                y = _attend(b, y, None, queries, None)
                y = _forward(b, _attend(b, y, x, queries, place))
        y = layers.layer_norm(b, y, "norm")
        boxes = y
        for step, channels in enumerate((_WIDTH, _WIDTH, 4)):
            boxes = layers.linear(b, boxes, channels, name=f"bbox{step}")
            boxes = layers.activation(b, boxes, "sigmoid" if channels == 4 else "relu")
        return layers.linear(b, y, classes + 1, name="class"), boxes


def encoded(
    b: GraphBuilder, image: Tensor, depths: tuple[int, int, int, int], *, bottleneck: bool = True, dense: bool = False
) -> tuple[Tensor, Tensor]:
    """(batch, pixels, width) that a ResNet and six layers of attention make of an image, and where the pixels are."""
    holes = (1, 1, 1, 2) if dense else (1, 1, 1, 1)
    x = resnet_levels(b, resnet_stem(b, image), depths, bottleneck=bottleneck, dilations=holes)[-1]
    x = layers.conv(b, x, _WIDTH, 1, name="input_proj")
    batch, _, height, width = x.shape
    x = b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, _WIDTH, height * width)), x))
    place = b.state("positions", (1, height * width, _WIDTH))
    for step in range(_DEPTH):
        with b.scope(f"encoder{step}"):
            x = _attend(b, x, None, place, None)
            x = _forward(b, x)
    return x, place


def _attend(b: GraphBuilder, x: Tensor, source: Tensor | None, place: Tensor, places: Tensor | None) -> Tensor:
    """Attention to x itself or to a source, positions added to queries and keys, then a norm."""
    name = "self" if source is None else "cross"
    asked = layers.add(b, x, place, name=f"{name}_place")
    keys = None if source is None or places is None else layers.add(b, source, places, name=f"{name}_places")
    y = layers.attention(b, asked, _HEADS, context=keys, name=name)
    return layers.layer_norm(b, layers.add(b, x, y), f"{name}_norm")


def _forward(b: GraphBuilder, x: Tensor) -> Tensor:
    return layers.layer_norm(b, layers.add(b, x, layers.mlp(b, x, _HIDDEN, act="relu")), "norm")


for _name, _title, _network, _size, _parameters in (
    ("detr_resnet50", "DETR-ResNet50", Detr((3, 4, 6, 3)), 800, 41.4e6),
    ("detr_resnet101", "DETR-ResNet101", Detr((3, 4, 23, 3)), 800, 60.3e6),
    ("detr_resnet50_dc5", "DETR-ResNet50-DC5", Detr((3, 4, 6, 3), dense=True), 800, 41.4e6),
    ("detr_resnet101_dc5", "DETR-ResNet101-DC5", Detr((3, 4, 23, 3), dense=True), 800, 60.3e6),
    ("detr_resnet18", "DETR-ResNet18", Detr((2, 2, 2, 2), bottleneck=False), 800, 28.7e6),
):
    image_network(
        _name,
        _network,
        title=_title,
        source="Carion et al. 2020, End-to-End Object Detection with Transformers, section 3.2 and appendix A.4",
        published=Published(
            parameters=int(_parameters), tolerance=0.01, source="Carion et al. 2020, Table 1: 41 M and 60 M"
        ),
        what="Object detector without anchors and suppression.",
        size=_size,
        labels=91,
    )
