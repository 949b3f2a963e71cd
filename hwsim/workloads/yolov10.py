"""YOLOv10 (Wang et al. 2024, YOLOv10: Real-Time End-to-End Object Detection; yolov10n.yaml and its kin)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.split import Split
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["Yolov10"]


@dataclass(frozen=True, slots=True)
class Yolov10:
    """Factors on depths and widths; ``compact`` places (numbers in the YAML) are inverted blocks, ``large`` kernels."""

    depth: float
    width: float
    widest: int
    compact: tuple[int, ...]
    large: bool

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """(batch, 4 + classes, anchors): boxes in pixels and class probabilities, one for each object."""
        yolo.check_size(image)
        levels = self._neck(b, *self._backbone(b, image))
        with b.scope("model.23"):
            return yolo.detect(b, levels, classes, light=True)

    def _channels(self, base: int) -> int:
        return yolo.scaled(base, self.width, self.widest)

    def _down(self, b: GraphBuilder, x: Tensor, base: int, place: int, *, apart: bool = False) -> Tensor:
        """A 3x3 convolution with stride 2, or pointwise and depthwise apart (section 3.3)."""
        channels = self._channels(base)
        if not apart:
            return yolo.conv(b, x, channels, 3, 2, name=f"model.{place}")
        x = yolo.conv(b, x, channels, name=f"model.{place}.cv1")
        return yolo.conv(b, x, channels, 3, 2, groups=channels, act="", name=f"model.{place}.cv2")

    def _stage(self, b: GraphBuilder, x: Tensor, base: int, count: int, place: int, *, residual: bool) -> Tensor:
        channels, repeats = self._channels(base), max(1, round(count * self.depth))
        if place not in self.compact:
            return yolo.c2f(b, x, channels, repeats, residual=residual, name=f"model.{place}")
        half = channels // 2
        with b.scope(f"model.{place}"):
            parts = list(b.add_all(Split(1, (half, half)), yolo.conv(b, x, channels, name="cv1")))
            for step in range(repeats):
                with b.scope(f"m{step}"):
                    parts.append(self._inverted(b, parts[-1]))
            return yolo.conv(b, yolo.join(b, *parts), channels, name="cv2")

    def _inverted(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Compact inverted block (section 3.3, Fig. 3)."""
        width = x.shape[1]
        y = yolo.conv(b, x, width, 3, groups=width, name="0")
        y = yolo.conv(b, y, 2 * width, name="1")
        y = yolo.conv(b, y, 2 * width, 7 if self.large else 3, groups=2 * width, name="2")
        y = yolo.conv(b, y, width, name="3")
        return layers.add(b, x, yolo.conv(b, y, width, 3, groups=width, name="4"))

    def _backbone(self, b: GraphBuilder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self._down(b, self._down(b, x, 64, 0), 128, 1)
        x = self._stage(b, x, 128, 3, 2, residual=True)
        fine = self._stage(b, self._down(b, x, 256, 3), 256, 6, 4, residual=True)
        middle = self._stage(b, self._down(b, fine, 512, 5, apart=True), 512, 6, 6, residual=True)
        x = self._stage(b, self._down(b, middle, 1024, 7, apart=True), 1024, 3, 8, residual=True)
        x = yolo.sppf(b, x, x.shape[1], name="model.9")
        half = x.shape[1] // 2
        with b.scope("model.10"):
            kept, y = b.add_all(Split(1, (half, half)), yolo.conv(b, x, 2 * half, name="cv1"))
            y = yolo.area_attention(b, y, name="attn")
            return fine, middle, yolo.conv(b, yolo.join(b, kept, y), 2 * half, name="cv2")

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = self._stage(b, yolo.join(b, yolo.up(b, coarse), middle), 512, 3, 13, residual=False)
        small = self._stage(b, yolo.join(b, yolo.up(b, first), fine), 256, 3, 16, residual=False)
        x = yolo.join(b, self._down(b, small, 256, 17), first)
        medium = self._stage(b, x, 512, 3, 19, residual=False)
        x = yolo.join(b, self._down(b, medium, 512, 20, apart=True), coarse)
        return small, medium, self._stage(b, x, 1024, 3, 22, residual=False)


for _scale, _network, _parameters, _gmacs in (
    ("n", Yolov10(0.33, 0.25, 1024, (22,), True), 2.3e6, 3.35),
    ("s", Yolov10(0.33, 0.50, 1024, (8, 22), True), 7.25e6, 10.8),
    ("m", Yolov10(0.67, 0.75, 768, (8, 19, 22), False), 15.4e6, 29.55),
    ("b", Yolov10(0.67, 1.00, 512, (8, 13, 19, 22), False), 19.1e6, 46.0),
    ("l", Yolov10(1.00, 1.00, 512, (8, 13, 19, 22), False), 24.4e6, 60.15),
    ("x", Yolov10(1.00, 1.25, 512, (6, 8, 13, 19, 22), False), 29.5e6, 80.2),
):
    image_network(
        f"yolov10{_scale}",
        _network,
        title=f"YOLOv10-{_scale.upper()}",
        source=f"Wang et al. 2024, YOLOv10, yolov10{_scale}.yaml",
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=0.03, source="Wang et al. 2024, YOLOv10, Table 1"
        ),
        what="Object detector that needs no suppression of overlaps.",
        size=640,
        labels=80,
    )
