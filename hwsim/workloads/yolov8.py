"""YOLOv8 object detection (Jocher, Chaurasia and Qiu 2023, Ultralytics YOLOv8, yolov8.yaml of the release)."""

from __future__ import annotations

from hwsim.errors import InputError
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.slice import Slice
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.registry import Published, workload

__all__ = ["yolov8n"]

_BINS = 16  # each side of a box is a distribution over this many distances


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int = 1, stride: int = 1, *, name: str) -> Tensor:
    return layers.conv_bn_act(b, x, channels, kernel, stride=stride, act="silu", name=name)


def _c2f(b: GraphBuilder, x: Tensor, channels: int, count: int, *, residual: bool, name: str) -> Tensor:
    """Split in halves, a chain of 3x3 pairs on the second, everything joined."""
    half = channels // 2
    with b.scope(name):
        joint = _conv(b, x, channels, name="cv1")
        parts = list(b.add_all(Split(1, (half, half)), joint))
        for place in range(count):
            with b.scope(f"m{place}"):
                y = _conv(b, _conv(b, parts[-1], half, 3, name="cv1"), half, 3, name="cv2")
                parts.append(layers.add(b, parts[-1], y) if residual else y)
        return _conv(b, b.add(Concat(1), *parts), channels, name="cv2")


def _sppf(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Three 5x5 max pools in a row, all stages joined."""
    channels = x.shape[1]
    with b.scope(name):
        parts = [_conv(b, x, channels // 2, name="cv1")]
        for _ in range(3):
            parts.append(layers.pool(b, parts[-1], "max", 5, stride=1, padding=2))
        return _conv(b, b.add(Concat(1), *parts), channels, name="cv2")


def _backbone(b: GraphBuilder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features at strides 8, 16 and 32."""
    x = _conv(b, x, 16, 3, 2, name="model.0")
    x = _c2f(b, _conv(b, x, 32, 3, 2, name="model.1"), 32, 1, residual=True, name="model.2")
    fine = _c2f(b, _conv(b, x, 64, 3, 2, name="model.3"), 64, 2, residual=True, name="model.4")
    middle = _c2f(b, _conv(b, fine, 128, 3, 2, name="model.5"), 128, 2, residual=True, name="model.6")
    x = _c2f(b, _conv(b, middle, 256, 3, 2, name="model.7"), 256, 1, residual=True, name="model.8")
    return fine, middle, _sppf(b, x, "model.9")


def _neck(b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Coarse features joined into finer ones, then back."""
    double, join = Resize(scales=(2, 2), mode="nearest"), Concat(1)
    up = b.add(join, b.add(double, coarse, name="model.10"), middle, name="model.11")
    first = _c2f(b, up, 128, 1, residual=False, name="model.12")
    up = b.add(join, b.add(double, first, name="model.13"), fine, name="model.14")
    small = _c2f(b, up, 64, 1, residual=False, name="model.15")
    down = b.add(join, _conv(b, small, 64, 3, 2, name="model.16"), first, name="model.17")
    medium = _c2f(b, down, 128, 1, residual=False, name="model.18")
    down = b.add(join, _conv(b, medium, 128, 3, 2, name="model.19"), coarse, name="model.20")
    return small, medium, _c2f(b, down, 256, 1, residual=False, name="model.21")


def _branch(b: GraphBuilder, x: Tensor, hidden: int, channels: int, name: str) -> Tensor:
    with b.scope(name):
        y = _conv(b, _conv(b, x, hidden, 3, name="0"), hidden, 3, name="1")
        return layers.conv(b, y, channels, 1, name="2")


def _detect(b: GraphBuilder, levels: tuple[Tensor, ...], classes: int) -> Tensor:
    """(batch, 4 + classes, anchors): boxes in pixels and class probabilities."""
    batch = levels[0].shape[0]
    box_width = max(16, levels[0].shape[1] // 4, 4 * _BINS)
    class_width = max(levels[0].shape[1], min(classes, 100))
    found = []
    for place, x in enumerate(levels):
        boxes = _branch(b, x, box_width, 4 * _BINS, f"cv2.{place}")
        scores = _branch(b, x, class_width, classes, f"cv3.{place}")
        joint = b.add(Concat(1), boxes, scores)
        found.append(b.add(Reshape((batch, 4 * _BINS + classes, -1)), joint))
    boxes, scores = b.add_all(Split(1, (4 * _BINS, classes)), b.add(Concat(2), *found))
    return b.add(Concat(1), _decode(b, boxes), layers.activation(b, scores, "sigmoid"))


def _decode(b: GraphBuilder, boxes: Tensor) -> Tensor:
    """Expected distances to the four sides turned into centre, width and height."""
    batch, _, anchors = boxes.shape
    x = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((batch, 4, _BINS, anchors)), boxes))
    x = layers.conv(b, b.add(Softmax(1), x), 1, 1, bias=False, name="dfl")
    x = b.add(Reshape((batch, 4, anchors)), x)
    points, strides = b.state("anchors", (1, 2, anchors)), b.state("strides", (1, 1, anchors))
    low = b.add(Sub(), points, b.add(Slice(1, 0, 2), x))
    high = b.add(Add(), points, b.add(Slice(1, 2, 4), x))
    centre = b.add(Div(scalar=2.0), b.add(Add(), low, high))
    return b.add(Mul(), b.add(Concat(1), centre, b.add(Sub(), high, low)), strides)


@workload(
    title="YOLOv8n",
    source="Jocher, Chaurasia and Qiu 2023, Ultralytics YOLOv8, yolov8.yaml, scale n",
    item="image",
    minimum={"height": 32, "width": 32},
    published=Published(
        parameters=3_157_200,
        macs=4.37e9,
        source="Ultralytics model summary: 3,157,200 parameters before fusion of batch norms; 8.7 GFLOPs at 640 x 640",
    ),
)
def yolov8n(*, batch: int = 1, height: int = 640, width: int = 640, classes: int = 80) -> Graph:
    """Object detector, nano size: backbone, neck, and head up to the decoded boxes (without suppression of overlaps).

    Args:
        batch: Images at once.
        height: Image height in pixels, a multiple of 32.
        width: Image width in pixels, a multiple of 32.
        classes: Classes told apart.
    """
    if height % 32 or width % 32:
        raise InputError(f"parameters 'height' and 'width' must be multiples of 32, not {height} and {width}")
    b = GraphBuilder("yolov8n")
    levels = _neck(b, *_backbone(b, b.input("image", (batch, 3, height, width))))
    with b.scope("model.22"):
        y = _detect(b, levels, classes)
    return b.build([y], items=batch, item="image")
