"""YOLOv12 (Tian, Ye and Doermann 2025, YOLOv12: Attention-Centric Real-Time Object Detectors; yolo12.yaml)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.matmul import Matmul
from hwsim.operators.mul import Mul
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.yolo11 import ScaledYolo

__all__: list[str] = []

_DIM = 32


def _area_attention(b: GraphBuilder, x: Tensor, areas: int) -> Tensor:
    """Attention inside each of ``areas`` strips of the image (section 3.2), heads of 32, with a 7x7 depthwise path."""
    batch, channels, height, width = x.shape
    heads, pixels = channels // _DIM, height * width // areas
    qkv = yolo.conv(b, x, 3 * channels, act="", name="qkv")
    qkv = b.add(Reshape((batch, 3 * channels, areas, pixels)), qkv)
    qkv = b.add(Reshape((batch * areas, heads, 3 * _DIM, pixels)), b.add(Transpose((0, 2, 1, 3)), qkv))
    q, k, v = b.add_all(Split(2, (_DIM, _DIM, _DIM)), qkv)
    scores = b.add(Matmul(), b.add(Transpose((0, 1, 3, 2)), q), k, name="scores")
    shares = b.add(Softmax(-1), b.add(Mul(scalar=_DIM**-0.5), scores))
    y = b.add(Reshape((batch, areas, channels, pixels)), b.add(Matmul(transpose_b=True), v, shares, name="weighted"))
    y = b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1, 3)), y))
    v = b.add(Transpose((0, 2, 1, 3)), b.add(Reshape((batch, areas, channels, pixels)), v))
    place = yolo.conv(b, b.add(Reshape(x.shape), v), channels, 7, groups=channels, act="", name="pe")
    return yolo.conv(b, layers.add(b, y, place), channels, act="", name="proj")


@dataclass(frozen=True, slots=True)
class Yolov12(ScaledYolo):
    """Factors as in :class:`ScaledYolo`; hidden width of perceptrons over their width."""

    hidden: float = 2.0

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """(batch, 4 + classes, anchors): boxes in pixels, class probabilities."""
        yolo.check_size(image)
        x = self.down(b, self.down(b, image, 64, 0), 128, 1)
        x = self.c3k2(b, x, 256, 2, share=0.25)
        fine = self.c3k2(b, self.down(b, x, 256, 3), 512, 4, share=0.25)
        middle = self._attending(b, self.down(b, fine, 512, 5), 512, 4, 4, 6)
        coarse = self._attending(b, self.down(b, middle, 1024, 7), 1024, 4, 1, 8)
        first = self._attending(b, yolo.join(b, yolo.up(b, coarse), middle), 512, 2, 0, 11)
        small = self._attending(b, yolo.join(b, yolo.up(b, first), fine), 256, 2, 0, 14)
        medium = self._attending(b, yolo.join(b, self.down(b, small, 256, 15), first), 512, 2, 0, 17)
        large = self.c3k2(b, yolo.join(b, self.down(b, medium, 512, 18), coarse), 1024, 20, deep=True)
        with b.scope("model.21"):
            return yolo.detect(b, (small, medium, large), classes, light=True)

    def _attending(self, b: GraphBuilder, x: Tensor, base: int, count: int, areas: int, place: int) -> Tensor:
        """Stages in a chain, all joined (R-ELAN, section 3.3): two blocks of attention each, or a C3 without areas."""
        channels = self.channels(base)
        part = channels // 2
        with b.scope(f"model.{place}"):
            parts = [yolo.conv(b, x, part, name="cv1")]
            for step in range(self.repeats(count)):
                y = parts[-1]
                if areas:
                    for again in range(2):
                        with b.scope(f"m{step}.{again}"):
                            y = layers.add(b, y, _area_attention(b, y, areas), name="add1")
                            z = yolo.conv(b, y, int(part * self.hidden), name="up")
                            y = layers.add(b, y, yolo.conv(b, z, part, act="", name="down"), name="add2")
                else:
                    y = yolo.c3(b, y, part, 2, first=3, name=f"m{step}")
                parts.append(y)
            return yolo.conv(b, yolo.join(b, *parts), channels, name="cv2")


for _scale, _network, _parameters, _gflop in (
    ("n", Yolov12(0.5, 0.25, 1024), 2_590_824, 6.5),
    ("s", Yolov12(0.5, 0.5, 1024), 9_284_096, 21.4),
    ("m", Yolov12(0.5, 1.0, 512, deep=True), 20_199_168, 67.5),
):
    image_network(
        f"yolov12{_scale}",
        _network,
        title=f"YOLOv12{_scale}",
        source="Tian, Ye and Doermann 2025, YOLOv12, section 3; Ultralytics yolo12.yaml",
        published=Published(
            parameters=_parameters,
            macs=_gflop / 2 * 1e9,
            tolerance=0.2,
            source=f"Ultralytics model summaries: {_parameters} parameters, {_gflop} GFLOP without attention",
        ),
        what="Object detector with attention in strips of the image.",
        size=640,
        labels=80,
    )
