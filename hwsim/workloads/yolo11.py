"""YOLO11 (Jocher and Qiu 2024, Ultralytics YOLO11, yolo11.yaml of the release)."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.split import Split
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__ = ["ScaledYolo", "Yolo11"]


@dataclass(frozen=True, slots=True)
class ScaledYolo:
    """Factors on depths and widths of YOLO11 and its successors; ``deep`` blocks nest a C3 in each place."""

    depth: float
    width: float
    widest: int
    deep: bool = False

    def channels(self, base: int) -> int:
        """Channels where the unscaled network has ``base``."""
        return yolo.scaled(base, self.width, self.widest)

    def repeats(self, count: int) -> int:
        """Places in a block where the unscaled network has ``count``."""
        return max(1, round(count * self.depth))

    def down(self, b: GraphBuilder, x: Tensor, base: int, place: int) -> Tensor:
        """Half the height and width."""
        return yolo.conv(b, x, self.channels(base), 3, 2, name=f"model.{place}")

    def c3k2(
        self, b: GraphBuilder, x: Tensor, base: int, place: int, *, deep: bool = False, share: float = 0.5
    ) -> Tensor:
        """As C2f, but each place is a bottleneck that halves the width, or a small C3 of two bottlenecks."""
        channels = self.channels(base)
        part = int(channels * share)
        with b.scope(f"model.{place}"):
            parts = list(b.add_all(Split(1, (part, part)), yolo.conv(b, x, 2 * part, name="cv1")))
            for step in range(self.repeats(2)):
                if deep or self.deep:
                    parts.append(yolo.c3(b, parts[-1], part, 2, first=3, name=f"m{step}"))
                else:
                    parts.append(yolo.bottleneck(b, parts[-1], hidden=part // 2, residual=True, name=f"m{step}"))
            return yolo.conv(b, yolo.join(b, *parts), channels, name="cv2")


@dataclass(frozen=True, slots=True)
class Yolo11(ScaledYolo):
    """Factors as in :class:`ScaledYolo`; ``masks`` and ``extra`` as in YOLOv8."""

    masks: bool = False
    extra: int = 0

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor | tuple[Tensor, ...]:
        """(batch, 4 + classes + extra, anchors): boxes in pixels, class probabilities, and what else is asked for."""
        yolo.check_size(image)
        levels = self._neck(b, *self._backbone(b, image))
        with b.scope("model.23"):
            found = yolo.detect(b, levels, classes, light=True, extra=self.extra)
            if not self.masks:
                return found
            return found, yolo.prototypes(b, levels[0], self.channels(256))

    def _backbone(self, b: GraphBuilder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32; attention at the coarsest."""
        x = self.down(b, self.down(b, x, 64, 0), 128, 1)
        x = self.c3k2(b, x, 256, 2, share=0.25)
        fine = self.c3k2(b, self.down(b, x, 256, 3), 512, 4, share=0.25)
        middle = self.c3k2(b, self.down(b, fine, 512, 5), 512, 6, deep=True)
        x = self.c3k2(b, self.down(b, middle, 1024, 7), 1024, 8, deep=True)
        x = yolo.sppf(b, x, x.shape[1], name="model.9")
        half = x.shape[1] // 2
        with b.scope("model.10"):
            kept, y = b.add_all(Split(1, (half, half)), yolo.conv(b, x, 2 * half, name="cv1"))
            for step in range(self.repeats(2)):
                y = yolo.area_attention(b, y, name=f"m{step}")
            return fine, middle, yolo.conv(b, yolo.join(b, kept, y), 2 * half, name="cv2")

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first = self.c3k2(b, yolo.join(b, yolo.up(b, coarse), middle), 512, 13)
        small = self.c3k2(b, yolo.join(b, yolo.up(b, first), fine), 256, 16)
        medium = self.c3k2(b, yolo.join(b, self.down(b, small, 256, 17), first), 512, 19)
        x = yolo.join(b, self.down(b, medium, 512, 20), coarse)
        return small, medium, self.c3k2(b, x, 1024, 22, deep=True)


_SCALES = {
    "n": (0.50, 0.25, 1024, False),
    "s": (0.50, 0.50, 1024, False),
    "m": (0.50, 1.00, 512, True),
    "l": (1.00, 1.00, 512, True),
    "x": (1.00, 1.50, 512, True),
}

for _scale, _task, _parameters, _gflop in (
    ("n", "", 2_624_080, 6.5),
    ("s", "", 9_458_752, 21.5),
    ("m", "", 20_114_688, 68.0),
    ("l", "", 25_372_160, 86.9),
    ("x", "", 56_966_176, 194.9),
    ("n", "_seg", 2_900_000, 10.4),
    ("s", "_seg", 10_100_000, 35.5),
    ("n", "_pose", 2_900_000, 7.6),
):
    image_network(
        f"yolo11{_scale}{_task}",
        Yolo11(*_SCALES[_scale], _task == "_seg", {"": 0, "_seg": 32, "_pose": 51}[_task]),
        title=f"YOLO11{_scale}{_task.replace('_', '-')}",
        source=f"Jocher and Qiu 2024, Ultralytics YOLO11, yolo11{_task.replace('_', '-')}.yaml, scale {_scale}",
        published=Published(
            parameters=_parameters,
            macs=_gflop / 2 * 1e9,
            tolerance=0.03 if not _task else 0.08,
            source=f"Ultralytics YOLO11 model summaries: {_parameters} parameters, {_gflop} GFLOP",
        ),
        what="Object detector with attention at the coarsest scale.",
        size=640,
        labels=1 if _task == "_pose" else 80,
    )
