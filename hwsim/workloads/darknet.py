"""Detectors of the Darknet framework: YOLOv3 (Redmon and Farhadi 2018), YOLOv4 and their tiny siblings."""

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


def _partial(b: GraphBuilder, x: Tensor, channels: int, count: int, name: str) -> Tensor:
    """Half the size, then ``count`` residual blocks on one of two paths (Bochkovskiy et al. 2020, YOLOv4, 3.4).

    The first stage keeps the width on both paths.
    """
    part = channels if channels == 64 else channels // 2
    with b.scope(name):
        x = _conv(b, x, channels, 3, 2, name="down")
        other, y = _conv(b, x, part, 1, name="other"), _conv(b, x, part, 1, name="in")
        for step in range(count):
            inner = _conv(b, y, channels // 2, 1, name=f"{step}.a")
            y = layers.add(b, y, _conv(b, inner, part, 3, name=f"{step}.b"), name=f"{step}.add")
        return _conv(b, yolo.join(b, _conv(b, y, part, 1, name="out"), other), channels, 1, name="join")


def _five(b: GraphBuilder, x: Tensor, width: int, name: str) -> Tensor:
    """Five convolutions, 1x1 and 3x3 in turn."""
    for step in range(5):
        x = _conv(b, x, 2 * width if step % 2 else width, 3 if step % 2 else 1, name=f"{name}.{step}")
    return x


def _yolov4(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
    """Boxes at strides 8, 16 and 32 on CSPDarknet-53, with pools of 5, 9 and 13 and paths both ways."""
    yolo.check_size(image)
    x = _conv(b, image, 32, 3, name="stem")
    levels = []
    for stage, (channels, count) in enumerate(((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))):
        x = _partial(b, x, channels, count, f"stage{stage}")
        levels.append(x)
    for step, (channels, kernel) in enumerate(((512, 1), (1024, 3), (512, 1))):
        x = _conv(b, x, channels, kernel, name=f"neck.{step}")
    x = yolo.join(b, *(layers.pool(b, x, "max", k, stride=1, padding=k // 2) for k in (13, 9, 5)), x)
    for step, (channels, kernel) in enumerate(((512, 1), (1024, 3), (512, 1))):
        x = _conv(b, x, channels, kernel, name=f"spp.{step}")
    down = [x]
    for level, width in ((levels[3], 256), (levels[2], 128)):
        up = yolo.up(b, _conv(b, down[-1], width, 1, name=f"up{width}"))
        down.append(_five(b, yolo.join(b, _conv(b, level, width, 1, name=f"route{width}"), up), width, f"top{width}"))
    x, found = down[2], [_boxes(b, down[2], 256, classes, "boxes0")]
    for level, width in ((down[1], 256), (down[0], 512)):
        x = _five(b, yolo.join(b, _conv(b, x, width, 3, 2, name=f"down{width}"), level), width, f"back{width}")
        found.append(_boxes(b, x, 2 * width, classes, f"boxes{width}"))
    return tuple(found)


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

image_network(
    "yolov4_leaky",
    _yolov4,
    title="YOLOv4 with leaky ReLU",
    source="Bochkovskiy, Wang and Liao 2020, YOLOv4, yolov4.cfg; hailo-ai/hailo_model_zoo for leaky ReLU",
    published=Published(parameters=64_330_000, tolerance=0.01, source="hailo_model_zoo, from memory: 64.33 M"),
    what="Object detector (overlaps are not suppressed).",
    size=512,
    labels=80,
)
