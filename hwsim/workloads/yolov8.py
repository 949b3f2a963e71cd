"""YOLOv8 object detection (Jocher, Chaurasia and Qiu 2023, Ultralytics YOLOv8, yolov8.yaml of the release)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.errors import InputError
from hwsim.graph.graph import GraphBuilder
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
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["Yolov8"]

_BINS = 16  # each side of a box is a distribution over this many distances


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int = 1, stride: int = 1, *, name: str) -> Tensor:
    return layers.conv_bn_act(b, x, channels, kernel, stride=stride, act="silu", name=name)


def _sppf(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Three 5x5 max pools in a row, all stages joined."""
    channels = x.shape[1]
    with b.scope(name):
        parts = [_conv(b, x, channels // 2, name="cv1")]
        for _ in range(3):
            parts.append(layers.pool(b, parts[-1], "max", 5, stride=1, padding=2))
        return _conv(b, b.add(Concat(1), *parts), channels, name="cv2")


@dataclass(frozen=True, slots=True)
class Yolov8:
    """Factors on the depths and widths of the base network; no layer is wider than ``widest`` times its factor."""

    depth: float
    width: float
    widest: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """(batch, 4 + classes, anchors): boxes in pixels and class probabilities."""
        if image.shape[2] % 32 or image.shape[3] % 32:
            height, width = image.shape[2:]
            raise InputError(f"parameters 'height' and 'width' must be multiples of 32, not {height} and {width}")
        levels = self._neck(b, *self._backbone(b, image))
        with b.scope("model.22"):
            return _detect(b, levels, classes)

    def _channels(self, base: int) -> int:
        return math.ceil(min(base, self.widest) * self.width / 8) * 8

    def _down(self, b: GraphBuilder, x: Tensor, base: int, place: int) -> Tensor:
        return _conv(b, x, self._channels(base), 3, 2, name=f"model.{place}")

    def _c2f(self, b: GraphBuilder, x: Tensor, base: int, count: int, place: int, *, residual: bool) -> Tensor:
        """Split in halves, a chain of 3x3 pairs on the second, everything joined."""
        channels = self._channels(base)
        half = channels // 2
        with b.scope(f"model.{place}"):
            parts = list(b.add_all(Split(1, (half, half)), _conv(b, x, channels, name="cv1")))
            for step in range(max(1, round(count * self.depth))):
                with b.scope(f"m{step}"):
                    y = _conv(b, _conv(b, parts[-1], half, 3, name="cv1"), half, 3, name="cv2")
                    parts.append(layers.add(b, parts[-1], y) if residual else y)
            return _conv(b, b.add(Concat(1), *parts), channels, name="cv2")

    def _backbone(self, b: GraphBuilder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32."""
        x = self._down(b, self._down(b, x, 64, 0), 128, 1)
        x = self._c2f(b, x, 128, 3, 2, residual=True)
        fine = self._c2f(b, self._down(b, x, 256, 3), 256, 6, 4, residual=True)
        middle = self._c2f(b, self._down(b, fine, 512, 5), 512, 6, 6, residual=True)
        x = self._c2f(b, self._down(b, middle, 1024, 7), 1024, 3, 8, residual=True)
        return fine, middle, _sppf(b, x, "model.9")

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coarse features joined into finer ones, then back."""
        double, join = Resize(scales=(2, 2), mode="nearest"), Concat(1)
        up = b.add(join, b.add(double, coarse, name="model.10"), middle, name="model.11")
        first = self._c2f(b, up, 512, 3, 12, residual=False)
        up = b.add(join, b.add(double, first, name="model.13"), fine, name="model.14")
        small = self._c2f(b, up, 256, 3, 15, residual=False)
        down = b.add(join, self._down(b, small, 256, 16), first, name="model.17")
        medium = self._c2f(b, down, 512, 3, 18, residual=False)
        down = b.add(join, self._down(b, medium, 512, 19), coarse, name="model.20")
        return small, medium, self._c2f(b, down, 1024, 3, 21, residual=False)


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


for _scale, _title, _network, _parameters, _gflop in (
    ("n", "nano", Yolov8(0.33, 0.25, 1024), 3_157_200, 8.7),
    ("s", "small", Yolov8(0.33, 0.50, 1024), 11_166_560, 28.6),
    ("m", "medium", Yolov8(0.67, 0.75, 768), 25_902_640, 78.9),
    ("l", "large", Yolov8(1.00, 1.00, 512), 43_691_520, 165.2),
):
    image_network(
        f"yolov8{_scale}",
        _network,
        title=f"YOLOv8{_scale}",
        source=f"Jocher, Chaurasia and Qiu 2023, Ultralytics YOLOv8, yolov8.yaml, scale {_scale}",
        published=Published(
            parameters=_parameters,
            macs=_gflop / 2 * 1e9,
            tolerance=0.006,
            source=f"Ultralytics model summaries: {_parameters} parameters with batch norms, {_gflop} GFLOP fused",
        ),
        what=f"Object detector, {_title} size, up to the decoded boxes (overlaps are not suppressed).",
        size=640,
        labels=80,
    )
