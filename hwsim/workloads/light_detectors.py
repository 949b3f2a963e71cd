"""Light detectors: NanoDet-m and FastestDet on ShuffleNet V2, NanoDet on RepVGG.

Sources: RangiLyu, NanoDet (config nanodet-m.yml: ShuffleNetV2 1.0x, PAN without convolutions, a head of two separable
convolutions; nanodet-RepVGG-A0_416.yml: a head of two full ones); xuma, FastestDet (module/shufflenetv2.py,
module/detector.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.split import Split
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.edge_classifiers import RepVgg
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.shufflenet_v2 import shufflenet_v2_stages

__all__: list[str] = []

_BINS = 8
"""Distances over which each side of a box is a distribution (Li et al. 2020, Generalized Focal Loss, Eq. 5)."""


def _separable(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    x = layers.conv_bn_act(b, x, x.shape[1], 3, groups=x.shape[1], act="leaky_relu", name=f"{name}.depthwise")
    return layers.conv_bn_act(b, x, channels, 1, act="leaky_relu", name=f"{name}.pointwise")


def _listed(b: GraphBuilder, x: Tensor) -> Tensor:
    """(batch, places, channels)."""
    batch, channels = x.shape[:2]
    return b.add(Transpose((0, 2, 1)), b.add(Reshape((batch, channels, -1)), x))


def _pyramid(b: GraphBuilder, stages: Sequence[Tensor], channels: int) -> list[Tensor]:
    """Three stages of equal channels, each joined with the coarser ones, then with the finer ones."""
    levels = [layers.conv(b, x, channels, 1, name=f"lateral{place}") for place, x in enumerate(stages)]
    for place in (1, 0):
        levels[place] = layers.add(b, levels[place], resized(b, levels[place + 1], levels[place].shape))
    for place in (1, 2):
        levels[place] = layers.add(b, levels[place], resized(b, levels[place - 1], levels[place].shape))
    return levels


def _nanodet(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
    """Scores and distances at strides 8, 16 and 32."""
    stages = shufflenet_v2_stages(b, image, (116, 232, 464), act="leaky_relu")
    levels = _pyramid(b, stages, 96)
    found = []
    for place, level in enumerate(levels):
        x = _separable(b, _separable(b, level, 96, f"head{place}.0"), 96, f"head{place}.1")
        y = layers.conv(b, x, classes + 4 * _BINS, 1, name=f"head{place}.out")
        scores, sides = b.add_all(Split(1, (classes, 4 * _BINS)), y)
        found += [_listed(b, layers.activation(b, scores, "sigmoid")), _listed(b, sides)]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _NanodetRepVgg:
    """NanoDet on a RepVGG of that width, whose last stage has 512 channels, with pyramids and heads of 128."""

    width: float

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Scores and distributions over ten distances at strides 8, 16 and 32."""
        stages = RepVgg((2, 4, 14, 1), self.width, 1.0).levels(b, image)[1:]
        levels = _pyramid(b, stages, 128)
        found = []
        for place, level in enumerate(levels):
            x = level
            for step in range(2):
                x = layers.conv_bn_act(b, x, 128, 3, name=f"head{place}.{step}")
            y = layers.conv(b, x, classes + 4 * 11, 1, name=f"head{place}.out")
            scores, sides = b.add_all(Split(1, (classes, 4 * 11)), y)
            found += [layers.activation(b, scores, "sigmoid"), sides]
        return tuple(found)


def _chain(b: GraphBuilder, x: Tensor, count: int, name: str) -> Tensor:
    """Depthwise 5x5 convolutions one after another."""
    for step in range(count):
        x = layers.conv_bn_act(b, x, x.shape[1], 5, groups=x.shape[1], name=f"{name}.{step}")
    return x


def _context(b: GraphBuilder, x: Tensor) -> Tensor:
    """Windows of 5, 9 and 13 as chains of one, two and three convolutions, beside each other."""
    y = b.add(Concat(1), *(_chain(b, x, count, f"context{count}") for count in (1, 2, 3)))
    y = layers.conv_bn_act(b, y, x.shape[1], 1, act="", name="context")
    return layers.activation(b, layers.add(b, x, y), "relu")


def _fastestdet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, 1 + 4 + classes, rows, cols) at stride 16."""
    fine, middle, coarse = shufflenet_v2_stages(b, image, (48, 96, 192))
    pooled = layers.pool(b, fine, "average", 3, stride=2, padding=1)
    x = b.add(Concat(1), pooled, middle, resized(b, coarse, middle.shape, mode="nearest"))
    x = _context(b, layers.conv_bn_act(b, x, 96, 1, name="join"))
    x = layers.conv_bn_act(b, x, 96, 1, name="out")
    heads: Sequence[tuple[str, int]] = (("object", 1), ("box", 4), ("class", classes))
    found = [layers.conv(b, _chain(b, x, 1, name), channels, 1, name=f"{name}.out") for name, channels in heads]
    found = [layers.activation(b, found[0], "sigmoid"), found[1], b.add(Softmax(axis=1), found[2])]
    return b.add(Concat(1), *found)


image_network(
    "nanodet_m",
    _nanodet,
    title="NanoDet-m",
    source="RangiLyu, NanoDet, config/legacy_v0.x_configs/nanodet-m.yml",
    published=Published(
        parameters=950_000, macs=0.36e9, tolerance=0.06, source="RangiLyu/nanodet: 0.95 M, 0.72 GFLOPs"
    ),
    what="Object detector for phones (overlaps are not suppressed).",
    size=320,
    minimum=64,
    labels=80,
)
for _name, _width, _size, _parameters, _gmacs in (
    ("nanodet_repvgg_a0", 0.75, 416, 6.74e6, 5.64),
    ("nanodet_repvgg_a1", 1.0, 640, 10.79e6, 21.4),
):
    image_network(
        _name,
        _NanodetRepVgg(_width),
        title=f"NanoDet on RepVGG-{_name[-2:].upper()}",
        source="RangiLyu, NanoDet, config/legacy_v0.x_configs/RepVGG/nanodet-RepVGG-A0_416.yml",
        published=Published(
            parameters=int(_parameters), macs=_gmacs * 1e9, tolerance=0.02, source="hailo_model_zoo, public models"
        ),
        what="Object detector (boxes are not decoded, overlaps not suppressed).",
        size=_size,
        minimum=64,
        labels=80,
    )
image_network(
    "fastestdet",
    _fastestdet,
    title="FastestDet",
    source="xuma, FastestDet, module/detector.py",
    published=Published(parameters=240_000, tolerance=0.05, source="dog-qiuqiu/FastestDet: 0.24 M parameters"),
    what="Object detector of one level for phones (overlaps are not suppressed).",
    size=352,
    minimum=64,
    labels=80,
)
