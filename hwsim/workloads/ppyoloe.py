"""PP-YOLOE (Xu et al. 2022, PP-YOLOE: An Evolved Version of YOLO), as deployed: merged convolutions, raw boxes.

Layers as PaddlePaddle/PaddleDetection has them (cspresnet.py, custom_pan.py, ppyoloe_head.py), from memory, checked by
their counts; the distributions over distances are decoded outside, as rknn_model_zoo exports them.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.workloads import image_layers, layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class PpYoloe:
    """Factors on the depths and widths of the largest network."""

    depth: float
    width: float

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Scores and distributions over distances at strides 8, 16 and 32."""
        yolo.check_size(image)
        found = []
        for place, x in enumerate(self._neck(b, self._backbone(b, image))):
            with b.scope(f"head{place}"):
                mean = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
                y = layers.add(b, self._aligned(b, x, mean, "stem_cls"), x)
                found.append(layers.activation(b, layers.conv(b, y, classes, 3, name="cls"), "sigmoid"))
                y = self._aligned(b, x, mean, "stem_reg")
                found.append(layers.conv(b, y, 4 * (yolo.BINS + 1), 3, name="reg"))
        return tuple(found)

    def _aligned(self, b: GraphBuilder, x: Tensor, mean: Tensor, name: str) -> Tensor:
        """Channels scaled by a product of their means, then mixed (section 2.5)."""
        with b.scope(name):
            gate = layers.activation(b, layers.conv(b, mean, x.shape[1], 1, name="fc"), "sigmoid")
            return yolo.conv(b, layers.multiply(b, x, gate), x.shape[1], name="conv")

    def _channels(self, base: int) -> int:
        return int(base * self.width)

    def _count(self, base: int) -> int:
        return max(1, round(base * self.depth))

    def _backbone(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """Features at strides 8, 16 and 32."""
        first = self._channels(64)
        x = image
        for place, (channels, stride) in enumerate(((first // 2, 2), (first // 2, 1), (first, 1))):
            x = yolo.conv(b, x, channels, 3, stride, name=f"stem{place}")
        levels = []
        for stage, (base, count) in enumerate(((128, 3), (256, 6), (512, 6), (1024, 3))):
            channels = self._channels(base)
            middle = (x.shape[1] + channels) // 2
            with b.scope(f"stage{stage}"):
                x = yolo.conv(b, x, middle, 3, 2, name="down")
                y = self._blocks(b, yolo.conv(b, x, middle // 2, name="conv2"), self._count(count), residual=True)
                x = yolo.join(b, yolo.conv(b, x, middle // 2, name="conv1"), y)
                x = yolo.conv(b, image_layers.whole_gate(b, x, "hardsigmoid"), channels, name="conv3")
            levels.append(x)
        return levels[1:]

    def _blocks(self, b: GraphBuilder, x: Tensor, count: int, *, residual: bool, pooled: bool = False) -> Tensor:
        for step in range(count):
            y = yolo.conv(b, x, x.shape[1], 3, name=f"{step}.a")
            y = yolo.conv(b, y, x.shape[1], 3, name=f"{step}.b")
            x = layers.add(b, x, y, name=f"{step}.add") if residual else y
            if pooled and step == (count - 1) // 2:
                pools = [layers.pool(b, x, "max", k, stride=1, padding=k // 2) for k in (5, 9, 13)]
                x = yolo.conv(b, yolo.join(b, x, *pools), x.shape[1], name="spp")
        return x

    def _stage(self, b: GraphBuilder, x: Tensor, channels: int, name: str, *, pooled: bool = False) -> Tensor:
        with b.scope(name):
            y = yolo.conv(b, x, channels // 2, name="conv2")
            y = self._blocks(b, y, self._count(3), residual=False, pooled=pooled)
            return yolo.conv(b, yolo.join(b, yolo.conv(b, x, channels // 2, name="conv1"), y), channels, name="conv3")

    def _neck(self, b: GraphBuilder, levels: list[Tensor]) -> list[Tensor]:
        """From coarse to fine, then back."""
        widths = [self._channels(base) for base in (768, 384, 192)]
        down: list[Tensor] = []
        for place, (level, width) in enumerate(zip(reversed(levels), widths, strict=True)):
            x = level
            if down:
                route = yolo.up(b, yolo.conv(b, down[-1], down[-1].shape[1] // 2, name=f"route{place}"))
                x = yolo.join(b, route, x)
            down.append(self._stage(b, x, width, f"fpn{place}", pooled=place == 0))
        made = [down[2]]
        for place in (1, 0):
            back = yolo.conv(b, made[-1], made[-1].shape[1], 3, 2, name=f"back{place}")
            made.append(self._stage(b, yolo.join(b, back, down[place]), widths[place], f"pan{place}"))
        return made


for _scale, _network, _parameters, _gmacs in (
    ("s", PpYoloe(0.33, 0.5), 7.93e6, 8.68),
    ("m", PpYoloe(0.67, 0.75), 23.43e6, 24.95),
):
    image_network(
        f"ppyoloe_{_scale}",
        _network,
        title=f"PP-YOLOE-{_scale}",
        source="Xu et al. 2022, PP-YOLOE, section 2; PaddlePaddle/PaddleDetection, configs/ppyoloe",
        published=Published(
            parameters=int(_parameters),
            macs=_gmacs * 1e9,
            tolerance=0.04,
            source="PaddleDetection, configs/ppyoloe README: 7.93 M and 17.36 GFLOP, 23.43 M and 49.91",
        ),
        what="Object detector (boxes are not decoded, overlaps not suppressed).",
        size=640,
        labels=80,
    )
