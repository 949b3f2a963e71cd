"""YOLOv8 (Jocher, Chaurasia and Qiu 2023, Ultralytics YOLOv8, yolov8.yaml of the release): boxes, masks, key points."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["Yolov8"]


@dataclass(frozen=True, slots=True)
class Yolov8:
    """Factors on the depths and widths of the base network; no layer is wider than ``widest`` times its factor.

    ``masks`` adds prototypes of masks, ``extra`` outputs for each box (coefficients of masks, key points, an angle).
    """

    depth: float
    width: float
    widest: int
    masks: bool = False
    extra: int = 0

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor | tuple[Tensor, ...]:
        """(batch, 4 + classes + extra, anchors): boxes in pixels, class probabilities, and what else is asked for."""
        yolo.check_size(image)
        levels = self._neck(b, *self._backbone(b, image))
        with b.scope("model.22"):
            found = yolo.detect(b, levels, classes, extra=self.extra)
            if not self.masks:
                return found
            return found, yolo.prototypes(b, levels[0], self._channels(256))

    def _channels(self, base: int) -> int:
        return yolo.scaled(base, self.width, self.widest)

    def _down(self, b: GraphBuilder, x: Tensor, base: int, place: int) -> Tensor:
        return yolo.conv(b, x, self._channels(base), 3, 2, name=f"model.{place}")

    def _c2f(self, b: GraphBuilder, x: Tensor, base: int, count: int, place: int, *, residual: bool) -> Tensor:
        repeats = max(1, round(count * self.depth))
        return yolo.c2f(b, x, self._channels(base), repeats, residual=residual, name=f"model.{place}")

    def _backbone(self, b: GraphBuilder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32."""
        x = self._down(b, self._down(b, x, 64, 0), 128, 1)
        x = self._c2f(b, x, 128, 3, 2, residual=True)
        fine = self._c2f(b, self._down(b, x, 256, 3), 256, 6, 4, residual=True)
        middle = self._c2f(b, self._down(b, fine, 512, 5), 512, 6, 6, residual=True)
        x = self._c2f(b, self._down(b, middle, 1024, 7), 1024, 3, 8, residual=True)
        return fine, middle, yolo.sppf(b, x, x.shape[1], name="model.9")

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coarse features joined into finer ones, then back."""
        joined = yolo.join(b, yolo.up(b, coarse, name="model.10"), middle, name="model.11")
        first = self._c2f(b, joined, 512, 3, 12, residual=False)
        joined = yolo.join(b, yolo.up(b, first, name="model.13"), fine, name="model.14")
        small = self._c2f(b, joined, 256, 3, 15, residual=False)
        joined = yolo.join(b, self._down(b, small, 256, 16), first, name="model.17")
        medium = self._c2f(b, joined, 512, 3, 18, residual=False)
        joined = yolo.join(b, self._down(b, medium, 512, 19), coarse, name="model.20")
        return small, medium, self._c2f(b, joined, 1024, 3, 21, residual=False)


_SCALES = {"n": (0.33, 0.25, 1024), "s": (0.33, 0.50, 1024), "m": (0.67, 0.75, 768), "l": (1.0, 1.0, 512)}
_SCALES |= {"x": (1.00, 1.25, 512)}
_DETECT, _SEGMENT, _POSE, _OBB = (
    ("", "", False, 0, 80, "Object detector"),
    ("_seg", "-seg", True, 32, 80, "Instance segmentation"),
    ("_pose", "-pose", False, 51, 1, "Detector of people with 17 key points"),
    ("_obb", "-obb", False, 1, 15, "Detector of turned boxes"),
)

for _scale, _task, _parameters, _gflop, _tolerance in (
    ("n", _DETECT, 3_157_200, 8.7, 0.006),
    ("s", _DETECT, 11_166_560, 28.6, 0.006),
    ("m", _DETECT, 25_902_640, 78.9, 0.006),
    ("l", _DETECT, 43_691_520, 165.2, 0.006),
    ("x", _DETECT, 68_229_648, 257.8, 0.006),
    ("n", _SEGMENT, 3_409_968, 12.6, 0.06),
    ("s", _SEGMENT, 11_821_056, 42.6, 0.06),
    ("m", _SEGMENT, 27_285_968, 110.2, 0.06),
    ("x", _SEGMENT, 71_800_000, 344.1, 0.06),
    ("n", _POSE, 3_300_000, 9.2, 0.03),
    ("s", _POSE, 11_600_000, 30.2, 0.02),
    ("m", _POSE, 26_400_000, 81.0, 0.02),
    ("n", _OBB, 3_100_000, 8.3, 0.03),
):
    _suffix, _dashed, _masks, _extra, _labels, _what = _task
    image_network(
        f"yolov8{_scale}{_suffix}",
        Yolov8(*_SCALES[_scale], _masks, _extra),
        title=f"YOLOv8{_scale}{_dashed}",
        source=f"Jocher, Chaurasia and Qiu 2023, Ultralytics YOLOv8, yolov8{_dashed}.yaml, scale {_scale}",
        published=Published(
            parameters=_parameters,
            macs=_gflop / 2 * 1e9,
            tolerance=_tolerance,
            source=f"Ultralytics model summaries: {_parameters} parameters with batch norms, {_gflop} GFLOP fused",
        ),
        what=f"{_what}, scale {_scale}, up to the decoded boxes (overlaps are not suppressed).",
        size=640,
        labels=_labels,
    )

for _scale, _parameters in (("s", 11_800_000), ("x", 72_200_000)):
    image_network(
        f"fastsam_{_scale}",
        Yolov8(*_SCALES[_scale], True, 32),
        title=f"FastSAM-{_scale}",
        source="Zhao et al. 2023, Fast Segment Anything: YOLOv8-seg with one class",
        published=Published(
            parameters=_parameters, tolerance=0.01, source="quic/ai-hub-models: 11.8 M and 72.2 M parameters"
        ),
        what="Segments everything: masks without classes.",
        size=640,
        labels=1,
    )
