"""YOLOX (Ge et al. 2021, YOLOX: Exceeding YOLO Series in 2021, section 2; Megvii-BaseDetection/YOLOX)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["Yolox"]


@dataclass(frozen=True, slots=True)
class Yolox:
    """Factors on the depths and widths of the largest network."""

    depth: float
    width: float
    act: str = "silu"

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """(batch, 5 + classes, anchors), one anchor a pixel."""
        yolo.check_size(image)
        levels = self._neck(b, *self._backbone(b, image))
        found = []
        for place, x in enumerate(levels):
            with b.scope(f"head{place}"):
                found.append(self._head(b, x, classes))
        return b.add(Concat(2), *found)

    def _conv(self, b: GraphBuilder, x: Tensor, base: int, kernel: int, stride: int, name: str) -> Tensor:
        return yolo.conv(b, x, int(base * self.width), kernel, stride, act=self.act, name=name)

    def _c3(self, b: GraphBuilder, x: Tensor, base: int, count: int, name: str, *, residual: bool) -> Tensor:
        repeats, channels = max(1, round(count * self.depth)), int(base * self.width)
        return yolo.c3(b, x, channels, repeats, residual=residual, act=self.act, name=name)

    def _backbone(self, b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32; the stem takes 2 x 2 pixels as channels."""
        batch, channels, height, width = image.shape
        x = b.add(Reshape((batch, channels, height // 2, 2, width // 2, 2)), image)
        x = b.add(Transpose((0, 3, 5, 1, 2, 4)), x, name="focus")
        x = b.add(Reshape((batch, 4 * channels, height // 2, width // 2)), x)
        x = self._conv(b, x, 64, 3, 1, "stem")
        x = self._c3(b, self._conv(b, x, 128, 3, 2, "down2"), 128, 3, "dark2", residual=True)
        fine = self._c3(b, self._conv(b, x, 256, 3, 2, "down3"), 256, 9, "dark3", residual=True)
        middle = self._c3(b, self._conv(b, fine, 512, 3, 2, "down4"), 512, 9, "dark4", residual=True)
        x = self._conv(b, middle, 1024, 3, 2, "down5")
        y = self._conv(b, x, 512, 1, 1, "spp1")
        pools = [layers.pool(b, y, "max", k, stride=1, padding=k // 2) for k in (5, 9, 13)]
        x = self._conv(b, yolo.join(b, y, *pools), 1024, 1, 1, "spp2")
        return fine, middle, self._c3(b, x, 1024, 3, "dark5", residual=False)

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        top = self._conv(b, coarse, 512, 1, 1, "lateral0")
        x = self._c3(b, yolo.join(b, yolo.up(b, top), middle), 512, 3, "p4", residual=False)
        second = self._conv(b, x, 256, 1, 1, "reduce1")
        small = self._c3(b, yolo.join(b, yolo.up(b, second), fine), 256, 3, "p3", residual=False)
        x = yolo.join(b, self._conv(b, small, 256, 3, 2, "bu2"), second)
        medium = self._c3(b, x, 512, 3, "n3", residual=False)
        x = yolo.join(b, self._conv(b, medium, 512, 3, 2, "bu1"), top)
        return small, medium, self._c3(b, x, 1024, 3, "n4", residual=False)

    def _head(self, b: GraphBuilder, x: Tensor, classes: int) -> Tensor:
        """Decoupled: classes through two convolutions, boxes and objectness through two others (Fig. 2)."""
        x = self._conv(b, x, 256, 1, 1, "stem")
        paths = []
        for name in ("cls", "reg"):
            y = self._conv(b, self._conv(b, x, 256, 3, 1, f"{name}0"), 256, 3, 1, f"{name}1")
            paths.append(y)
        scores = layers.activation(b, layers.conv(b, paths[0], classes, 1, name="cls_pred"), "sigmoid")
        boxes = layers.conv(b, paths[1], 4, 1, name="reg_pred")
        sure = layers.activation(b, layers.conv(b, paths[1], 1, 1, name="obj_pred"), "sigmoid")
        return b.add(Reshape((x.shape[0], 5 + classes, -1)), yolo.join(b, boxes, sure, scores))


for _name, _title, _network, _size, _parameters, _gmacs in (
    ("yolox_tiny", "YOLOX-Tiny", Yolox(0.33, 0.375), 416, 5.06e6, 3.225),
    ("yolox_s", "YOLOX-S", Yolox(0.33, 0.50), 640, 8.97e6, 13.4),
    ("yolox_m", "YOLOX-M", Yolox(0.67, 0.75), 640, 25.3e6, 36.9),
    ("yolox_l", "YOLOX-L", Yolox(1.00, 1.00), 640, 54.2e6, 77.8),
    ("yolox_x", "YOLOX-X", Yolox(1.33, 1.25), 640, 99.1e6, 140.95),
    ("yolox_s_leaky", "YOLOX-S with leaky ReLU", Yolox(0.33, 0.50, "leaky_relu"), 640, 8.96e6, 13.37),
    ("yolox_s_wide_leaky", "YOLOX-S, wide, with leaky ReLU", Yolox(0.33, 0.75, "leaky_relu"), 640, 20.12e6, 29.73),
    ("yolox_l_leaky", "YOLOX-L with leaky ReLU", Yolox(1.00, 1.00, "leaky_relu"), 640, 54.17e6, 77.65),
):
    image_network(
        _name,
        _network,
        title=_title,
        source="Ge et al. 2021, YOLOX, section 2 and Table 3; hailo-ai/hailo_model_zoo for leaky ReLU",
        published=Published(
            parameters=int(_parameters),
            macs=_gmacs * 1e9,
            tolerance=0.02,
            source=f"Ge et al. 2021, Table 3, or hailo_model_zoo: {_parameters:.3g} parameters, {_gmacs} GMAC",
        ),
        what="Object detector without anchor boxes (overlaps are not suppressed).",
        size=_size,
        labels=80,
    )
