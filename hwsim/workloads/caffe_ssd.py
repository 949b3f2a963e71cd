"""SSD as published for Caffe, on MobileNet and SqueezeNet, for the twenty classes of PASCAL VOC.

Sources: Liu et al. 2016, SSD: Single Shot MultiBox Detector, Fig. 2; chuanqi305, MobileNet-SSD; chuanqi305,
SqueezeNet-SSD (deploy.prototxt of each).
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.backbones import mobilenet_v1_levels
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.squeezenet import fire, squeezenet1_1_fires

__all__: list[str] = []


def _heads(
    b: GraphBuilder, levels: Sequence[Tensor], anchors: Sequence[int], classes: int, kernel: int
) -> tuple[Tensor, Tensor]:
    """Boxes (batch, 4 anchors) and probabilities (batch, anchors, classes + 1) of all levels."""
    found: dict[str, list[Tensor]] = {"boxes": [], "scores": []}
    for place, (x, count) in enumerate(zip(levels, anchors, strict=True)):
        for name, outputs in (("boxes", 4), ("scores", classes + 1)):
            y = layers.conv(b, x, count * outputs, kernel, name=f"{name}{place}")
            found[name].append(layers.flatten(b, b.add(Transpose((0, 2, 3, 1)), y)))
    boxes, scores = (b.add(Concat(1), *found[name]) for name in ("boxes", "scores"))
    scores = b.add(Reshape((scores.shape[0], -1, classes + 1)), scores)
    return boxes, b.add(Softmax(axis=-1), scores)


def _extras(b: GraphBuilder, x: Tensor, widths: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Coarser levels, each from a pointwise and a strided convolution of so many channels."""
    found = []
    for place, (narrow, wide) in enumerate(widths):
        y = layers.conv_bn_act(b, x, narrow, 1, name=f"extra{place}.a")
        x = layers.conv_bn_act(b, y, wide, 3, stride=2, name=f"extra{place}.b")
        found.append(x)
    return found


def _mobilenet_ssd(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    backbone = mobilenet_v1_levels(b, image, act="relu")
    extras = _extras(b, backbone[0], ((256, 512), (128, 256), (128, 256), (64, 128)))
    return _heads(b, [backbone[16], backbone[0], *extras], (3, 6, 6, 6, 6, 6), classes, 1)


def _squeezenet_ssd(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    fires = squeezenet1_1_fires(b, image)
    x, levels = fires[-1], [layers.batch_norm(b, fires[3], "normal"), fires[-1]]
    for place in (10, 11):
        x = layers.pool(b, x, "max", 3, stride=2, ceil=True)
        with b.scope(f"fire{place}"):
            x = fire(b, x, 96, 384)
        levels.append(x)
    levels += _extras(b, x, ((128, 256), (64, 128)))
    return _heads(b, levels, (4, 6, 6, 6, 6, 4), classes, 3)


for _name, _title, _network, _parameters, _counted in (
    ("ssd_mobilenet_v1_voc", "SSD on MobileNet for PASCAL VOC", _mobilenet_ssd, 5.78e6, "23.1 MB in fp32"),
    ("ssd_squeezenet_voc", "SSD on SqueezeNet for PASCAL VOC", _squeezenet_ssd, 5.52e6, "Tencent/ncnn, benchmark"),
):
    image_network(
        _name,
        _network,
        title=_title,
        source="Liu et al. 2016, SSD, Fig. 2; chuanqi305, MobileNet-SSD and SqueezeNet-SSD, deploy.prototxt",
        published=Published(parameters=int(_parameters), tolerance=0.01, source=f"weights as counted: {_counted}"),
        what="Object detector of six levels (overlaps are not suppressed).",
        size=300,
        minimum=224,
        labels=20,
    )
