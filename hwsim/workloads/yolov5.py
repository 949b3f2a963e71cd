"""YOLOv5 (Jocher 2020, Ultralytics YOLOv5, release 6: models/yolov5s.yaml, models/segment)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["Yolov5", "anchor_boxes"]

_ANCHORS = 3


@dataclass(frozen=True, slots=True)
class Yolov5:
    """Factors on the depths and widths of the base network; ``masks`` adds the segmentation head."""

    depth: float
    width: float
    masks: bool = False
    act: str = "silu"

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor | tuple[Tensor, ...]:
        """(batch, anchors, 5 + classes), with coefficients and prototypes of masks where those are asked for."""
        yolo.check_size(image)
        levels = self._neck(b, *self._backbone(b, image))
        found = anchor_boxes(b, levels, 5 + classes + (32 if self.masks else 0))
        if not self.masks:
            return found
        return found, yolo.prototypes(b, levels[0], yolo.scaled(256, self.width), learned=False)

    def _conv(self, b: GraphBuilder, x: Tensor, base: int, kernel: int, stride: int, place: int) -> Tensor:
        channels = yolo.scaled(base, self.width)
        return yolo.conv(b, x, channels, kernel, stride, act=self.act, name=f"model.{place}")

    def _c3(self, b: GraphBuilder, x: Tensor, base: int, count: int, place: int, *, residual: bool = True) -> Tensor:
        repeats, channels = max(1, round(count * self.depth)), yolo.scaled(base, self.width)
        return yolo.c3(b, x, channels, repeats, residual=residual, act=self.act, name=f"model.{place}")

    def _backbone(self, b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32."""
        stem = yolo.scaled(64, self.width)
        x = layers.conv_bn_act(b, image, stem, 6, stride=2, padding=2, act=self.act, name="model.0")
        x = self._c3(b, self._conv(b, x, 128, 3, 2, 1), 128, 3, 2)
        fine = self._c3(b, self._conv(b, x, 256, 3, 2, 3), 256, 6, 4)
        middle = self._c3(b, self._conv(b, fine, 512, 3, 2, 5), 512, 9, 6)
        x = self._c3(b, self._conv(b, middle, 1024, 3, 2, 7), 1024, 3, 8)
        return fine, middle, yolo.sppf(b, x, x.shape[1], act=self.act, name="model.9")

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coarse features joined into finer ones, then back."""
        top = self._conv(b, coarse, 512, 1, 1, 10)
        x = self._c3(b, yolo.join(b, yolo.up(b, top), middle), 512, 3, 13, residual=False)
        second = self._conv(b, x, 256, 1, 1, 14)
        small = self._c3(b, yolo.join(b, yolo.up(b, second), fine), 256, 3, 17, residual=False)
        x = yolo.join(b, self._conv(b, small, 256, 3, 2, 18), second)
        medium = self._c3(b, x, 512, 3, 20, residual=False)
        x = yolo.join(b, self._conv(b, medium, 512, 3, 2, 21), top)
        return small, medium, self._c3(b, x, 1024, 3, 23, residual=False)


def anchor_boxes(b: GraphBuilder, levels: tuple[Tensor, ...], outputs: int, anchors: int = _ANCHORS) -> Tensor:
    """(batch, anchors, outputs): a pointwise convolution for each level, then a sigmoid."""
    batch = levels[0].shape[0]
    found = []
    for place, x in enumerate(levels):
        y = layers.conv(b, x, anchors * outputs, 1, name=f"detect.{place}")
        y = layers.activation(b, y, "sigmoid")
        found.append(b.add(Reshape((batch, anchors * y.shape[2] * y.shape[3], outputs)), y))
    return b.add(Concat(1), *found) if len(found) > 1 else found[0]


_SCALES = {"n": (0.33, 0.25), "s": (0.33, 0.50), "m": (0.67, 0.75), "l": (1.00, 1.00), "x": (1.33, 1.25)}

for _scale, _masks, _act, _parameters, _gflop in (
    ("n", False, "silu", 1_872_157, 4.5),
    ("s", False, "silu", 7_235_389, 16.5),
    ("m", False, "silu", 21_190_557, 49.0),
    ("l", False, "silu", 46_563_709, 109.1),
    ("x", False, "silu", 86_749_405, 205.7),
    ("s", False, "relu", 7_235_389, 16.5),
    ("n", True, "silu", 2_000_000, 7.1),
    ("s", True, "silu", 7_600_000, 26.4),
    ("m", True, "silu", 22_000_000, 70.8),
    ("l", True, "silu", 47_900_000, 147.7),
):
    image_network(
        f"yolov5{_scale}" + ("_seg" if _masks else "") + ("_relu" if _act == "relu" else ""),
        Yolov5(*_SCALES[_scale], _masks, _act),
        title=f"YOLOv5{_scale}" + ("-seg" if _masks else "") + (" with ReLU" if _act == "relu" else ""),
        source=f"Jocher 2020, Ultralytics YOLOv5 6.0, yolov5{_scale}{'-seg' if _masks else ''}.yaml",
        published=Published(
            parameters=_parameters,
            macs=_gflop / 2 * 1e9,
            tolerance=0.02,
            source=f"Ultralytics YOLOv5 README: {_parameters} parameters, {_gflop} GFLOP",
        ),
        what="Instance segmentation." if _masks else "Object detector (overlaps are not suppressed).",
        size=640,
        labels=80,
    )
