"""Faster R-CNN on ResNet-50, C4 (Ren et al. 2016, Faster R-CNN, section 3; He et al. 2016, Table 1), in two parts.

As facebookresearch/detectron2 builds it (faster_rcnn_R_50_C4_1x) and quic/ai-hub-models, models/detectron2_detection
(052dc1f), cuts it: proposals from an image, and what is in each of them. assumption: regions are read at one point
of each bin, bilinearly.
"""

from __future__ import annotations

from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.gather import Gather
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import resnet_levels, resnet_stem
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published, workload

__all__ = ["faster_rcnn_regions"]

_SOURCE = "Ren et al. 2016, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks, section 3"
_ANCHORS, _WIDTH, _BINS = 15, 1024, 14


def _rows(b: GraphBuilder, x: Tensor, outputs: int, size: int, name: str) -> Tensor:
    """(batch, places, size) of 15 anchors a pixel."""
    y = b.add(Transpose((0, 2, 3, 1)), layers.conv(b, x, outputs, 1, name=name))
    return b.add(Reshape((x.shape[0], -1, size)), y)


def _proposals(b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features at a stride of 16, boxes of all anchors, and how likely each holds an object."""
    x = resnet_levels(b, resnet_stem(b, image), (3, 4, 6), bottleneck=True, widths=(64, 128, 256), strides=(1, 2, 2))[
        -1
    ]
    y = layers.activation(b, layers.conv(b, x, _WIDTH, 3, name="rpn"), "relu")
    boxes = layers.add(b, _rows(b, y, 4 * _ANCHORS, 4, "boxes"), b.state("anchors", (1, 1, 4)), name="decoded")
    return x, boxes, _rows(b, y, _ANCHORS, 1, "objects")


image_filter(
    "faster_rcnn_proposals",
    _proposals,
    title="Faster R-CNN on ResNet-50 C4, proposals",
    source=_SOURCE,
    published=Published(parameters=18_060_000, tolerance=0.01, source="R-50-C4 of detectron2: 33.8 M in both parts"),
    what="Features of an image and where objects may be.",
    size=800,
)


@workload(
    title="Faster R-CNN on ResNet-50 C4, regions",
    source=_SOURCE,
    item="image",
    published=Published(parameters=15_790_000, tolerance=0.01, source="R-50-C4 of detectron2: 33.8 M in both parts"),
)
def faster_rcnn_regions(*, regions: int = 200, height: int = 50, width: int = 50, classes: int = 80) -> Graph:
    """What is in each region: its features, the last stage of ResNet-50, classes and boxes.

    Args:
        regions: Boxes looked at.
        height: Height of the image's features.
        width: Width of the image's features.
        classes: Classes told apart.
    """
    b = GraphBuilder("faster_rcnn_regions")
    pixels = image_layers.to_sequence(b, b.input("features", (1, _WIDTH, height, width)))
    pixels = b.add(Reshape((height * width, _WIDTH)), pixels, name="pixels")
    boxes = b.input("boxes", (regions, 4))
    points = regions * _BINS * _BINS
    total: Tensor | None = None
    for corner in range(4):
        read = b.add(Gather(0), pixels, b.input(f"places{corner}", (points,), "int64"), name=f"corner{corner}")
        read = layers.multiply(b, read, b.input(f"shares{corner}", (points, 1)), name=f"weighed{corner}")
        total = read if total is None else layers.add(b, total, read, name=f"sum{corner}")
    assert total is not None
    x = b.add(Reshape((regions, _BINS, _BINS, _WIDTH)), total, name="regions")
    x = b.add(Transpose((0, 3, 1, 2)), x, name="channels_second")
    with b.scope("stage4"):
        x = resnet_levels(b, x, (3,), bottleneck=True, widths=(512,), strides=(2,))[-1]
    x = layers.global_average(b, x)
    scores = b.add(Softmax(), layers.linear(b, x, classes + 1, name="classes"))
    deltas = b.add(Reshape((regions, classes, 4)), layers.linear(b, x, 4 * classes, name="boxes_of_classes"))
    moved = layers.add(b, deltas, b.add(Reshape((regions, 1, 4)), boxes), name="moved")
    return b.build([scores, moved], items=1, item="image")
