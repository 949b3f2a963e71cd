"""YOLOv5 beyond release 6: release 2 (BottleneckCSP, SPP), without SPP, with a transformer block, on 1280 pixels.

Sources: Jocher 2020, Ultralytics YOLOv5, releases 2.0 and 6.0 (models/yolov5s.yaml, models/hub/yolov5m6.yaml and
yolov5s-transformer.yaml); hailo_model_zoo, which trains release 2.0 and leaves SPP out of some of its networks.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published, sources
from hwsim.workloads.yolov5 import Yolov5, anchor_boxes

__all__: list[str] = []

_ACT = "leaky_relu"


@dataclass(frozen=True, slots=True)
class _Release2:
    """Factors on the depths and widths of release 2.0; without pools, four pointwise convolutions stand for SPP.

    The last is an assumption: Hailo's counts grow by four squares of the width where SPP had two and a half.
    """

    depth: float
    width: float
    pooled: bool = True

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """(batch, anchors, 5 + classes)."""
        yolo.check_size(image)
        batch, channels, height, width = image.shape
        x = b.add(Reshape((batch, channels, height // 2, 2, width // 2, 2)), image)
        x = b.add(Reshape((batch, 4 * channels, height // 2, width // 2)), b.add(Transpose((0, 3, 5, 1, 2, 4)), x))
        x = self._conv(b, x, 64, 3, 1, "stem")
        x = self._csp(b, self._conv(b, x, 128, 3, 2, "down2"), 128, 3, "p2")
        fine = self._csp(b, self._conv(b, x, 256, 3, 2, "down3"), 256, 9, "p3")
        middle = self._csp(b, self._conv(b, fine, 512, 3, 2, "down4"), 512, 9, "p4")
        x = self._pyramid(b, self._conv(b, middle, 1024, 3, 2, "down5"))
        x = self._csp(b, x, 1024, 3, "p5", residual=False)
        top = self._conv(b, x, 512, 1, 1, "top")
        x = self._csp(b, yolo.join(b, yolo.up(b, top), middle), 512, 3, "n4", residual=False)
        second = self._conv(b, x, 256, 1, 1, "second")
        small = self._csp(b, yolo.join(b, yolo.up(b, second), fine), 256, 3, "n3", residual=False)
        x = yolo.join(b, self._conv(b, small, 256, 3, 2, "back4"), second)
        medium = self._csp(b, x, 512, 3, "m4", residual=False)
        x = yolo.join(b, self._conv(b, medium, 512, 3, 2, "back5"), top)
        return anchor_boxes(b, (small, medium, self._csp(b, x, 1024, 3, "m5", residual=False)), 5 + classes)

    def _conv(self, b: GraphBuilder, x: Tensor, base: int, kernel: int, stride: int, name: str) -> Tensor:
        return yolo.conv(b, x, yolo.scaled(base, self.width), kernel, stride, act=_ACT, name=name)

    def _csp(self, b: GraphBuilder, x: Tensor, base: int, count: int, name: str, *, residual: bool = True) -> Tensor:
        """Two paths, then mixed; the normalisation and activation behind their joint are folded into each."""
        channels = yolo.scaled(base, self.width)
        half = channels // 2
        with b.scope(name):
            y = yolo.conv(b, x, half, act=_ACT, name="cv1")
            for step in range(max(1, round(count * self.depth))):
                y = yolo.bottleneck(b, y, hidden=half, first=1, residual=residual, act=_ACT, name=f"m{step}")
            y = yolo.conv(b, y, half, act=_ACT, name="cv3")
            joined = yolo.join(b, y, yolo.conv(b, x, half, act=_ACT, name="cv2"))
            return yolo.conv(b, joined, channels, act=_ACT, name="cv4")

    def _pyramid(self, b: GraphBuilder, x: Tensor) -> Tensor:
        if not self.pooled:
            for step in range(4):
                x = yolo.conv(b, x, x.shape[1], act=_ACT, name=f"point{step}")
            return x
        y = yolo.conv(b, x, x.shape[1] // 2, act=_ACT, name="spp1")
        pools = [layers.pool(b, y, "max", k, stride=1, padding=k // 2) for k in (5, 9, 13)]
        return yolo.conv(b, yolo.join(b, y, *pools), x.shape[1], act=_ACT, name="spp2")


@dataclass(frozen=True, slots=True)
class _Attending(Yolov5):
    """Release 6 whose coarsest stage attends between its pixels in place of a bottleneck (C3TR)."""

    def _c3(self, b: GraphBuilder, x: Tensor, base: int, count: int, place: int, *, residual: bool = True) -> Tensor:
        if place != 8:
            return super(_Attending, self)._c3(b, x, base, count, place, residual=residual)
        half = x.shape[1] // 2
        with b.scope("model.8"):
            y = yolo.conv(b, x, half, name="cv1")
            side = y.shape[2:]
            seq = image_layers.to_sequence(b, y)
            seq = layers.add(b, seq, layers.linear(b, seq, half, name="position"))
            for name in ("q", "k", "v"):
                layers.linear_weights(b, half, half, bias=False, name=f"twice_{name}")
            seq = layers.add(b, layers.attention(b, seq, 4), seq, name="attended")
            inner = layers.linear(b, seq, half, bias=False, name="fc1")
            seq = layers.add(b, layers.linear(b, inner, half, bias=False, name="fc2"), seq, name="mixed")
            y = image_layers.to_image(b, seq, side)
            return yolo.conv(b, yolo.join(b, y, yolo.conv(b, x, half, name="cv2")), 2 * half, name="cv3")


@dataclass(frozen=True, slots=True)
class _Four(Yolov5):
    """Release 6 with a fourth level, at stride 64."""

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """(batch, anchors, 5 + classes)."""
        yolo.check_size(image, 64)
        x = layers.conv_bn_act(b, image, yolo.scaled(64, self.width), 6, stride=2, padding=2, act=self.act, name="stem")
        levels = []
        for place, (base, count) in enumerate(((128, 3), (256, 6), (512, 9), (768, 3), (1024, 3))):
            x = self._c3(b, self._conv(b, x, base, 3, 2, 2 * place + 1), base, count, 2 * place + 2)
            levels.append(x)
        x = yolo.sppf(b, x, x.shape[1], act=self.act, name="model.11")
        joints, back = [], []
        for step, (level, base) in enumerate(zip(levels[3:0:-1], (768, 512, 256), strict=True)):
            joints.append(self._conv(b, x, base, 1, 1, 12 + 4 * step))
            x = yolo.join(b, yolo.up(b, joints[-1]), level)
            x = self._c3(b, x, base, 3, 15 + 4 * step, residual=False)
        back.append(x)
        for step, (joint, base) in enumerate(zip(reversed(joints), (512, 768, 1024), strict=True)):
            x = yolo.join(b, self._conv(b, x, joint.shape[1], 3, 2, 24 + 3 * step), joint)
            x = self._c3(b, x, base, 3, 26 + 3 * step, residual=False)
            back.append(x)
        return anchor_boxes(b, tuple(back), 5 + classes)

    def _conv(self, b: GraphBuilder, x: Tensor, base: int, kernel: int, stride: int, place: int) -> Tensor:
        channels = base if stride == 2 and place > 23 else yolo.scaled(base, self.width)
        return yolo.conv(b, x, channels, kernel, stride, act=self.act, name=f"model.{place}")


_HAILO = "hailo_model_zoo, public models"
for _name, _title, _network, _size, _parameters, _gmacs, _source in (
    ("yolov5s_v2", "YOLOv5s, release 2", _Release2(0.33, 0.5), 640, 7.46e6, 8.72, _HAILO),
    ("yolov5m_v2", "YOLOv5m, release 2", _Release2(0.67, 0.75), 640, 21.78e6, 26.12, f"{_HAILO}, from memory"),
    ("yolov5s_v2_wo_spp", "YOLOv5s, release 2, no SPP", _Release2(0.33, 0.5, False), 640, 7.85e6, 8.87, _HAILO),
    (
        *("yolov5m_v2_wo_spp", "YOLOv5m, release 2, no SPP", _Release2(0.67, 0.75, False), 640),
        *(22.67e6, 26.49, f"{_HAILO}, from memory"),
    ),
    ("yolov5s_c3tr", "YOLOv5s with a transformer block", _Attending(0.33, 0.5), 640, 0.0, 8.51, _HAILO),
    ("yolov5m6", "YOLOv5m6", _Four(0.67, 0.75), 1280, 35.7e6, 100.0, "Ultralytics README: 35.7 M, 200.0 GFLOP"),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters) or None, macs=_gmacs * 1e9, tolerance=0.04, source=_source),
        what="Object detector (overlaps are not suppressed).",
        size=_size,
        labels=80,
    )
