"""DAMO-YOLO (Xu et al. 2022, DAMO-YOLO: A Report on Real-Time Object Detection Design), as deployed.

A searched backbone of residual blocks, a neck whose levels all meet, heads of one convolution; layers as
tinyvision/DAMO-YOLO has them (damo/base_models), re-parameterised convolutions merged.
"""

from __future__ import annotations

from collections.abc import Sequence
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

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class DamoYolo:
    """``stages``: blocks, inner and outer channels, stride of each stage; ``wide``: all convolutions of blocks are 3x3.

    ``outs``: channels of the neck at strides 8, 16 and 32; ``hidden``: inner width of its blocks; ``count``: blocks.
    ``wide`` stages run their blocks on one of two paths of half the width (TinyNAS_csp).
    """

    stem: int
    stages: Sequence[tuple[int, int, int, int]]
    wide: bool
    outs: tuple[int, int, int]
    hidden: float
    count: int
    act: str = "relu"

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Scores and distributions over distances at strides 8, 16 and 32."""
        yolo.check_size(image)
        found = []
        for place, x in enumerate(self._neck(b, *self._backbone(b, image))):
            found.append(layers.activation(b, layers.conv(b, x, classes, 3, name=f"scores{place}"), "sigmoid"))
            found.append(layers.conv(b, x, 4 * (yolo.BINS + 1), 3, name=f"boxes{place}"))
        return tuple(found)

    def _backbone(self, b: GraphBuilder, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32; the stem takes 2 x 2 pixels as channels, pools join the last stage."""
        batch, channels, height, width = image.shape
        x = b.add(Reshape((batch, channels, height // 2, 2, width // 2, 2)), image)
        x = b.add(Reshape((batch, 4 * channels, height // 2, width // 2)), b.add(Transpose((0, 3, 5, 1, 2, 4)), x))
        x = yolo.conv(b, x, self.stem, 3, act=self.act, name="stem")
        levels = []
        if self.wide:
            return self._split_backbone(b, x)
        for stage, (count, inner, channels, stride) in enumerate(self.stages):
            for place in range(count):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x, inner, channels, stride if place == 0 else 1)
                    if place == 0 and stage == len(self.stages) - 1:
                        x = self._pools(b, x)
            levels.append(x)
        return levels[1], levels[3], levels[4]

    def _split_backbone(self, b: GraphBuilder, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        levels: list[Tensor] = []
        for stage, (count, inner, channels, stride) in enumerate(self.stages):
            if stride == 1:
                continue
            after = self.stages[stage + 1] if stage + 1 < len(self.stages) else (0, 0, 0, 2)
            blocks = [inner] * (count - 1) + ([after[1]] * after[0] if after[3] == 1 else [])
            half = channels // 2
            with b.scope(f"stage{stage}"):
                x = yolo.conv(b, x, channels, 3, 2, name="down")
                x = self._pools(b, x) if stage == len(self.stages) - 1 else x
                y = yolo.conv(b, x, half, name="start")
                for place, width in enumerate(blocks):
                    with b.scope(str(place)):
                        y = self._block(b, y, width, half, 1)
                x = yolo.conv(b, yolo.join(b, y, yolo.conv(b, x, half, name="shortcut")), channels, name="fuse")
            levels.append(x)
        return levels[1], levels[2], levels[3]

    def _block(self, b: GraphBuilder, x: Tensor, inner: int, channels: int, stride: int) -> Tensor:
        y = yolo.conv(b, x, inner, 3 if self.wide else 1, act=self.act, name="conv1")
        y = yolo.conv(b, y, channels, 3, stride, act="", name="conv2")
        if stride == 1:
            link = x if x.shape[1] == channels else yolo.conv(b, x, channels, act="", name="link")
            y = layers.add(b, y, link)
        return layers.activation(b, y, self.act)

    def _pools(self, b: GraphBuilder, x: Tensor) -> Tensor:
        y = yolo.conv(b, x, x.shape[1] // 2, name="spp1")
        pools = [layers.pool(b, y, "max", k, stride=1, padding=k // 2) for k in (5, 9, 13)]
        return yolo.conv(b, yolo.join(b, y, *pools), x.shape[1], name="spp2")

    def _neck(self, b: GraphBuilder, fine: Tensor, middle: Tensor, coarse: Tensor) -> tuple[Tensor, ...]:
        """Nodes that read the levels beside their own too (section 2.2)."""
        down = [yolo.conv(b, x, x.shape[1], 3, 2, act=self.act, name=f"down{i}") for i, x in enumerate((fine, middle))]
        low = self._stage(b, (coarse, down[1]), coarse.shape[1], "merge3")
        mid = self._stage(b, (middle, down[0], yolo.up(b, low)), middle.shape[1], "merge4")
        small = self._stage(b, (fine, yolo.up(b, mid)), self.outs[0], "merge5")
        back = yolo.conv(b, small, small.shape[1], 3, 2, act=self.act, name="back7")
        medium = self._stage(b, (mid, back), self.outs[1], "merge7")
        ends = [yolo.conv(b, x, x.shape[1], 3, 2, act=self.act, name=f"back6{i}") for i, x in enumerate((mid, medium))]
        return small, medium, self._stage(b, (low, *ends), self.outs[2], "merge6")

    def _stage(self, b: GraphBuilder, parts: Sequence[Tensor], channels: int, name: str) -> Tensor:
        """Two paths, one through blocks of 3x3 convolutions around links; all their outputs are joined."""
        half = channels // 2
        with b.scope(name):
            x = yolo.join(b, *parts)
            made = [yolo.conv(b, x, half, act=self.act, name="conv1")]
            y = yolo.conv(b, x, channels - half, act=self.act, name="conv2")
            for step in range(self.count):
                z = yolo.conv(b, y, int(half * self.hidden), 3, act=self.act, name=f"{step}.a")
                y = layers.add(b, y, yolo.conv(b, z, half, 3, act=self.act, name=f"{step}.b"), name=f"{step}.add")
                made.append(y)
            return yolo.conv(b, b.add(Concat(1), *made), channels, act=self.act, name="conv3")


_T = ((2, 24, 64, 2), (2, 64, 96, 2), (2, 96, 192, 2), (2, 152, 192, 1), (1, 192, 384, 2))
_S = ((1, 24, 128, 2), (5, 88, 128, 2), (3, 128, 256, 2), (2, 120, 256, 1), (1, 144, 512, 2))
_M = ((2, 64, 128, 2), (4, 64, 128, 2), (4, 256, 256, 2), (4, 256, 256, 1), (3, 256, 512, 2))
for _name, _network, _parameters, _gmacs in (
    ("damoyolo_t", DamoYolo(24, _T, False, (64, 128, 256), 1.0, 3), 8.5e6, 9.05),
    ("damoyolo_s", DamoYolo(32, _S, False, (128, 256, 512), 0.75, 3), 16.3e6, 18.9),
    ("damoyolo_m", DamoYolo(32, _M, True, (128, 256, 512), 1.0, 4, "silu"), 28.2e6, 30.9),
):
    image_network(
        _name,
        _network,
        title=f"DAMO-YOLO-{_name[-1].upper()}",
        source="Xu et al. 2022, DAMO-YOLO, section 2; tinyvision/DAMO-YOLO, configs and tinynas structures",
        published=Published(
            parameters=int(_parameters),
            macs=_gmacs * 1e9,
            tolerance=0.05,
            source="tinyvision/DAMO-YOLO README: 8.5 M and 18.1 GFLOP; 16.3, 37.8; 28.2, 61.8",
        ),
        what="Object detector (boxes are not decoded, overlaps not suppressed).",
        size=640,
        labels=80,
    )
