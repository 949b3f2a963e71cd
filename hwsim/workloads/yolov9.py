"""YOLOv9: aggregated networks of layers, sizes halved by two pools (Wang et al. 2024, YOLOv9).

As deployed: merged convolutions, without the branch that is there for training. Layers as WongKinYiu/yolov9 has them
(models/detect/gelan-c.yaml), from memory, checked by their counts.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_SIDES = 4


def _elan(b: GraphBuilder, x: Tensor, channels: int, wide: int, inner: int, name: str) -> Tensor:
    """A half that is kept, and two paths through bottlenecks and a 3x3, one on the other, joined (Fig. 3c)."""
    with b.scope(name):
        parts = list(b.add_all(Split(1, (wide // 2, wide // 2)), yolo.conv(b, x, wide, name="cv1")))
        for place in (2, 3):
            y = yolo.c3(b, parts[-1], inner, 1, first=3, name=f"cv{place}.0")
            parts.append(yolo.conv(b, y, inner, 3, name=f"cv{place}.1"))
        return yolo.conv(b, yolo.join(b, *parts), channels, name="cv4")


def _halved(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """Half of the channels by a 3x3 with stride 2, half by a maximum."""
    half = x.shape[1] // 2
    with b.scope(name):
        first, second = b.add_all(Split(1, (half, half)), layers.pool(b, x, "average", 2, stride=1))
        first = yolo.conv(b, first, channels // 2, 3, 2, name="cv1")
        second = layers.pool(b, second, "max", 3, stride=2, padding=1)
        return yolo.join(b, first, yolo.conv(b, second, channels // 2, name="cv2"))


def _pyramid(b: GraphBuilder, x: Tensor, channels: int, inner: int, name: str) -> Tensor:
    """Three 5x5 maxima in a row, all stages joined."""
    with b.scope(name):
        parts = [yolo.conv(b, x, inner, name="cv1")]
        for _ in range(3):
            parts.append(layers.pool(b, parts[-1], "max", 5, stride=1, padding=2))
        return yolo.conv(b, yolo.join(b, *parts), channels, name="cv5")


def _levels(b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features at strides 8, 16 and 32, joined both ways."""
    x = yolo.conv(b, yolo.conv(b, image, 64, 3, 2, name="model.0"), 128, 3, 2, name="model.1")
    x = _halved(b, _elan(b, x, 256, 128, 64, "model.2"), 256, "model.3")
    fine = _elan(b, x, 512, 256, 128, "model.4")
    middle = _elan(b, _halved(b, fine, 512, "model.5"), 512, 512, 256, "model.6")
    x = _elan(b, _halved(b, middle, 512, "model.7"), 512, 512, 256, "model.8")
    coarse = _pyramid(b, x, 512, 256, "model.9")
    first = _elan(b, yolo.join(b, yolo.up(b, coarse, "up0"), middle), 512, 512, 256, "model.12")
    small = _elan(b, yolo.join(b, yolo.up(b, first, "up1"), fine), 256, 256, 128, "model.15")
    x = yolo.join(b, _halved(b, small, 256, "model.16"), first)
    medium = _elan(b, x, 512, 512, 256, "model.18")
    x = yolo.join(b, _halved(b, medium, 512, "model.19"), coarse)
    return small, medium, _elan(b, x, 512, 512, 256, "model.21")


def _yolov9c(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, 4 + classes, anchors): boxes in pixels, class probabilities."""
    yolo.check_size(image)
    batch, found = image.shape[0], []
    for place, x in enumerate(_levels(b, image)):
        with b.scope(f"detect.{place}"):
            y = yolo.conv(b, x, 64, 3, name="cv2.0")
            y = yolo.conv(b, y, 64, 3, groups=_SIDES, name="cv2.1")
            boxes = layers.conv(b, y, _SIDES * yolo.BINS, 1, groups=_SIDES, name="cv2.2")
            y = yolo.conv(b, yolo.conv(b, x, 256, 3, name="cv3.0"), 256, 3, name="cv3.1")
            scores = layers.conv(b, y, classes, 1, name="cv3.2")
            found.append(b.add(Reshape((batch, _SIDES * yolo.BINS + classes, -1)), yolo.join(b, boxes, scores)))
    boxes, scores = b.add_all(Split(1, (_SIDES * yolo.BINS, classes)), b.add(Concat(2), *found))
    return b.add(Concat(1), yolo.decoded(b, boxes), layers.activation(b, scores, "sigmoid"))


image_network(
    "yolov9c",
    _yolov9c,
    title="YOLOv9-C",
    source="Wang, Yeh and Liao 2024, YOLOv9: Learning What You Want to Learn Using Programmable Gradient Information",
    published=Published(
        parameters=25_300_000, macs=51.05e9, tolerance=0.02, source="hailo_model_zoo: 25.3 M parameters, 51.05 GMAC"
    ),
    what="Object detector, up to the decoded boxes (overlaps are not suppressed).",
    size=640,
    labels=80,
)
