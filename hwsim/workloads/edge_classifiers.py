"""Classifiers made for edge accelerators: EfficientNet-Lite, EfficientNet-EdgeTPU, MobileNet-EdgeTPU, RepVGG, MNASNet.

Sources: TensorFlow tpu/models/official/efficientnet (lite, edgetpu; 2019-2020); Xiong et al. 2021, MobileDets,
section 3 (MobileNetEdgeTPU); Ding et al. 2021, RepVGG, Table 2; Tan et al. 2019, MnasNet, Fig. 7; Sandler et al.
2018, MobileNetV2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.backbones import inverted_residual, mobilenet_v2_levels
from hwsim.workloads.families import Network, image_network
from hwsim.workloads.registry import Published, sources

__all__ = ["RepVgg", "ScaledBlocks", "efficientnet_lite_levels"]

_Row = tuple[int, int, int, int, int, bool]
"""Repeats, kernel, stride of the first, expansion, channels, whether expansion and filter are one convolution."""
_LITE: Sequence[_Row] = (
    (1, 3, 1, 1, 16, False),
    (2, 3, 2, 6, 24, False),
    (2, 5, 2, 6, 40, False),
    (3, 3, 2, 6, 80, False),
    (3, 5, 1, 6, 112, False),
    (4, 5, 2, 6, 192, False),
    (1, 3, 1, 6, 320, False),
)
_EDGE: Sequence[_Row] = (
    (1, 3, 1, 4, 24, True),
    (2, 3, 2, 8, 32, True),
    (4, 3, 2, 8, 48, True),
    (5, 5, 2, 8, 96, False),
    (4, 5, 1, 8, 144, False),
    (2, 5, 2, 8, 192, False),
)
_MOBILE_EDGE: Sequence[_Row] = (
    (1, 3, 1, 1, 16, False),
    (1, 3, 2, 8, 32, True),
    (3, 3, 1, 4, 32, True),
    (1, 3, 2, 8, 48, True),
    (3, 3, 1, 4, 48, True),
    (1, 3, 2, 8, 96, False),
    (3, 3, 1, 4, 96, False),
    (1, 3, 1, 8, 96, False),
    (3, 3, 1, 4, 96, False),
    (1, 5, 2, 8, 160, False),
    (3, 5, 1, 4, 160, False),
    (1, 3, 1, 8, 192, False),
)
_MNAS: Sequence[_Row] = (
    (1, 3, 1, 1, 16, False),
    (3, 3, 2, 3, 24, False),
    (3, 5, 2, 3, 40, False),
    (3, 5, 2, 6, 80, False),
    (2, 3, 1, 6, 96, False),
    (4, 5, 2, 6, 192, False),
    (1, 3, 1, 6, 320, False),
)


def _fused(b: GraphBuilder, x: Tensor, row: _Row, channels: int, stride: int, act: str) -> Tensor:
    """One full convolution that widens, one pointwise that narrows."""
    _, kernel, _, expansion, _, _ = row
    y = layers.conv_bn_act(b, x, x.shape[1] * expansion, kernel, stride=stride, act=act, name="fused")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


@dataclass(frozen=True, slots=True)
class ScaledBlocks:
    """Inverted residuals without squeeze-and-excite, scaled in width and depth; stem and head scale if ``whole``."""

    rows: Sequence[_Row]
    width: float = 1.0
    depth: float = 1.0
    act: str = "relu6"
    stem: int = 32
    whole: bool = False
    last: int = 1280

    def levels(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """The output of each row of blocks."""
        stem = layers.divisible(self.stem * self.width) if self.whole else self.stem
        x = layers.conv_bn_act(b, image, stem, 3, stride=2, act=self.act, name="stem")
        found = []
        for place, row in enumerate(self.rows):
            edge = place in (0, len(self.rows) - 1)
            count = row[0] if edge and not self.whole else math.ceil(row[0] * self.depth)
            for step in range(count):
                channels, stride = layers.divisible(row[4] * self.width), row[2] if step == 0 else 1
                with b.scope(f"block{place}.{step}"):
                    if row[5]:
                        x = _fused(b, x, row, channels, stride, self.act)
                    else:
                        x, _ = inverted_residual(b, x, row[3], channels, kernel=row[1], stride=stride, act=self.act)
            found.append(x)
        return found

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self.levels(b, image)[-1]
        last = layers.divisible(self.last * self.width) if self.whole else self.last
        x = layers.conv_bn_act(b, x, last, 1, act=self.act, name="head")
        return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


def efficientnet_lite_levels(b: GraphBuilder, image: Tensor, width: float, depth: float) -> list[Tensor]:
    """Features of EfficientNet-Lite at strides 4, 8, 16 and 32."""
    found = ScaledBlocks(_LITE, width, depth).levels(b, image)
    return [found[1], found[2], found[4], found[6]]


def _mobilenet_v2_wide(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """MobileNetV2 1.4, whose last layer is wider too (section 3.4 of the paper)."""
    x = mobilenet_v2_levels(b, image, width=1.4, last=1792)[0]
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


@dataclass(frozen=True, slots=True)
class RepVgg:
    """Plain 3x3 convolutions, as deployed: four stages at widths a, the last at b times 512."""

    depths: tuple[int, int, int, int]
    a: float
    b: float

    def levels(self, b: GraphBuilder, image: Tensor) -> list[Tensor]:
        """The output of each stage, at strides 4, 8, 16 and 32."""
        x = layers.conv_bn_act(b, image, min(64, int(64 * self.a)), 3, stride=2, name="stage0")
        found = []
        for stage, depth in enumerate(self.depths):
            channels = int((64 << stage) * (self.b if stage == 3 else self.a))
            for step in range(depth):
                x = layers.conv_bn_act(b, x, channels, 3, stride=2 if step == 0 else 1, name=f"stage{stage + 1}.{step}")
            found.append(x)
        return found

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self.levels(b, image)[-1]
        return layers.linear(b, layers.global_average(b, x), classes, name="linear")


_TF = "tensorflow/tpu models/official/efficientnet README: parameters"
_LITE_COUNTS = "tensorflow/tpu README (parameters); hailo_model_zoo (MACs of 1, 2 and 4; 0 and 3 by the same layers)"
_MEMBERS: tuple[tuple[str, str, Network, int, Published], ...] = (
    *(
        (
            f"efficientnet_lite{n}",
            f"EfficientNet-Lite{n}",
            ScaledBlocks(_LITE, width, depth),
            size,
            Published(parameters=int(parameters * 1e6), macs=macs * 1e6, tolerance=0.02, source=_LITE_COUNTS),
        )
        for n, width, depth, size, parameters, macs in (
            (0, 1.0, 1.0, 224, 4.65, 385),
            (1, 1.0, 1.1, 240, 5.42, 610),
            (2, 1.1, 1.2, 260, 6.09, 870),
            (3, 1.2, 1.4, 280, 8.2, 1383),
            (4, 1.4, 1.8, 300, 13.0, 2550),
        )
    ),
    *(
        (
            f"efficientnet_edgetpu_{n}",
            f"EfficientNet-EdgeTPU-{n.upper()}",
            ScaledBlocks(_EDGE, width, depth, "relu", whole=True),
            size,
            Published(parameters=int(parameters * 1e6), tolerance=0.01, source=_TF),
        )
        for n, width, depth, size, parameters in (
            ("s", 1.0, 1.0, 224, 5.44),
            ("m", 1.0, 1.1, 240, 6.90),
            ("l", 1.2, 1.4, 300, 10.59),
        )
    ),
    (
        "mobilenet_edgetpu",
        "MobileNet-EdgeTPU 1.0",
        ScaledBlocks(_MOBILE_EDGE, act="relu"),
        224,
        Published(parameters=4_080_000, macs=0.99e9, tolerance=0.03, source="tensorflow/models mobilenet README"),
    ),
    (
        "mnasnet0_5",
        "MNASNet 0.5",
        ScaledBlocks(_MNAS, 0.5, act="relu", whole=True, last=2560),
        224,
        Published(parameters=2_218_512, macs=0.104e9, tolerance=0.02, source="torchvision weight metadata"),
    ),
    (
        "mobilenet_v2_1_4",
        "MobileNetV2 1.4",
        _mobilenet_v2_wide,
        224,
        Published(parameters=6_110_000, macs=0.585e9, tolerance=0.01, source="Sandler et al. 2018, Table 4"),
    ),
    *(
        (
            f"repvgg_{n}",
            f"RepVGG-{n.upper()}",
            RepVgg(depths, a, wide),
            224,
            Published(
                parameters=int(parameters * 1e6), macs=macs * 1e9, tolerance=0.03, source="Ding et al. 2021, Table 4"
            ),
        )
        for n, depths, a, wide, parameters, macs in (
            ("a0", (2, 4, 14, 1), 0.75, 2.5, 8.30, 1.4),
            ("a1", (2, 4, 14, 1), 1.0, 2.5, 12.78, 2.4),
            ("a2", (2, 4, 14, 1), 1.5, 2.75, 25.49, 5.1),
            ("b0", (4, 6, 16, 1), 1.0, 2.5, 14.33, 3.1),
        )
    ),
)

for _name, _title, _network, _size, _published in _MEMBERS:
    image_network(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=_published,
        what="Image classifier without squeeze-and-excite.",
        size=_size,
    )
