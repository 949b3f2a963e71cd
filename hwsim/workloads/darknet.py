"""Detectors of the Darknet framework: YOLOv3 (Redmon and Farhadi 2018), its tiny sibling, and YOLOv4-tiny."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.slice import Slice
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_ACT = "leaky_relu"
_ANCHORS = 3


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, stride: int = 1, *, name: str) -> Tensor:
    return yolo.conv(b, x, channels, kernel, stride, act=_ACT, name=name)


def _boxes(b: GraphBuilder, x: Tensor, hidden: int, classes: int, name: str) -> Tensor:
    x = _conv(b, x, hidden, 3, name=f"{name}.0")
    return layers.conv(b, x, _ANCHORS * (5 + classes), 1, name=f"{name}.1")


def _tiny_yolov3(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes at strides 32 and 16, (batch, 3 (5 + classes), rows, cols)."""
    yolo.check_size(image)
    x = image
    for place, channels in enumerate((16, 32, 64, 128)):
        x = layers.pool(b, _conv(b, x, channels, 3, name=f"conv{place}"), "max", 2)
    middle = _conv(b, x, 256, 3, name="conv4")
    x = _conv(b, layers.pool(b, middle, "max", 2), 512, 3, name="conv5")
    x = layers.pool(b, x, "max", 3, stride=1, padding=1)
    coarse = _conv(b, _conv(b, x, 1024, 3, name="conv6"), 256, 1, name="conv7")
    joined = yolo.join(b, yolo.up(b, _conv(b, coarse, 128, 1, name="conv8")), middle)
    return _boxes(b, coarse, 512, classes, "coarse"), _boxes(b, joined, 256, classes, "fine")


def _tiny_yolov3_split(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, 4 + classes, anchors): Ultralytics' version, with SiLU and boxes apart from classes."""
    yolo.check_size(image)
    x = image
    for place, channels in enumerate((16, 32, 64, 128)):
        x = layers.pool(b, yolo.conv(b, x, channels, 3, name=f"conv{place}"), "max", 2)
    middle = yolo.conv(b, x, 256, 3, name="conv4")
    x = yolo.conv(b, layers.pool(b, middle, "max", 2), 512, 3, name="conv5")
    x = layers.pool(b, x, "max", 3, stride=1, padding=1)
    coarse = yolo.conv(b, yolo.conv(b, x, 1024, 3, name="conv6"), 256, name="conv7")
    joined = yolo.join(b, yolo.up(b, yolo.conv(b, coarse, 128, name="conv8")), middle)
    fine = yolo.conv(b, joined, 256, 3, name="conv9")
    return yolo.detect(b, (fine, yolo.conv(b, coarse, 512, 3, name="conv10")), classes)


def _tiny_yolov4(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Boxes at strides 32 and 16; half the channels of each stage pass through its inner convolutions."""
    yolo.check_size(image)
    x = _conv(b, _conv(b, image, 32, 3, 2, name="conv0"), 64, 3, 2, name="conv1")
    middle = x
    for place, channels in enumerate((64, 128, 256)):
        with b.scope(f"csp{place}"):
            x = _conv(b, x, channels, 3, name="in")
            half = _conv(b, b.add(Slice(1, channels // 2, channels), x), channels // 2, 3, name="a")
            inner = _conv(b, half, channels // 2, 3, name="b")
            middle = _conv(b, yolo.join(b, inner, half), channels, 1, name="c")
            x = layers.pool(b, yolo.join(b, x, middle), "max", 2)
    coarse = _conv(b, _conv(b, x, 512, 3, name="conv2"), 256, 1, name="conv3")
    joined = yolo.join(b, yolo.up(b, _conv(b, coarse, 128, 1, name="conv4")), middle)
    return _boxes(b, coarse, 512, classes, "coarse"), _boxes(b, joined, 256, classes, "fine")


def _yolov3(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
    """Boxes at strides 32, 16 and 8 on Darknet-53 (Table 1)."""
    yolo.check_size(image)
    x = _conv(b, image, 32, 3, name="stem")
    levels = []
    for stage, (channels, count) in enumerate(((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))):
        x = _conv(b, x, channels, 3, 2, name=f"down{stage}")
        for step in range(count):
            y = _conv(b, x, channels // 2, 1, name=f"stage{stage}.{step}.a")
            x = layers.add(b, x, _conv(b, y, channels, 3, name=f"stage{stage}.{step}.b"))
        levels.append(x)
    found: list[Tensor] = []
    for place, (level, width) in enumerate(zip(reversed(levels[2:]), (512, 256, 128), strict=True)):
        x = yolo.join(b, yolo.up(b, _conv(b, x, width, 1, name=f"up{place}")), level) if place else level
        for step in range(5):
            x = _conv(b, x, 2 * width if step % 2 else width, 3 if step % 2 else 1, name=f"neck{place}.{step}")
        found.append(_boxes(b, x, 2 * width, classes, f"boxes{place}"))
    return tuple(found)


image_network(
    "tiny_yolov3_split",
    _tiny_yolov3_split,
    title="YOLOv3-tinyu",
    source="Redmon and Farhadi 2018, YOLOv3; Ultralytics, yolov3-tiny.yaml with the head of YOLOv8",
    published=Published(
        parameters=12_168_784, macs=9.45e9, tolerance=0.015, source="Ultralytics docs: 12.1 M, 18.9 GFLOP at 640 x 640"
    ),
    what="Object detector (overlaps are not suppressed).",
    size=640,
    labels=80,
)
for _name, _title, _network, _source, _parameters, _gmacs in (
    ("tiny_yolov3", "YOLOv3-tiny", _tiny_yolov3, "Redmon and Farhadi 2018, YOLOv3, yolov3-tiny.cfg", 8.85e6, 2.79),
    ("tiny_yolov4", "YOLOv4-tiny", _tiny_yolov4, "Wang et al. 2021, Scaled-YOLOv4, yolov4-tiny.cfg", 6.05e6, 3.46),
    ("yolov3", "YOLOv3", _yolov3, "Redmon and Farhadi 2018, YOLOv3, yolov3.cfg and Table 1", 61.9e6, 32.95),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=_source,
        published=Published(
            parameters=int(_parameters),
            macs=_gmacs * 1e9,
            tolerance=0.01,
            source=f"pjreddie.com and hailo_model_zoo: {_parameters:.3g} parameters, {_gmacs} GMAC at 416 x 416",
        ),
        what="Object detector (overlaps are not suppressed).",
        size=416,
        labels=80,
    )
