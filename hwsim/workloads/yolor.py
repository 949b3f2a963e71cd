"""YOLOR-P6 (Wang et al. 2021, You Only Learn One Representation, Fig. 8), as its published yolor_p6.cfg has it."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_STAGES = ((128, 3), (256, 7), (384, 7), (512, 3), (640, 3))
_ANCHORS = 3


def _stage(b: GraphBuilder, x: Tensor, channels: int, count: int) -> Tensor:
    """Half the size; two paths of half the width, one through that many residual pairs."""
    half = channels // 2
    x = yolo.conv(b, x, channels, 3, 2, name="down")
    short, y = yolo.conv(b, x, half, name="short"), yolo.conv(b, x, half, name="main")
    for place in range(count):
        z = yolo.conv(b, yolo.conv(b, y, half, name=f"{place}.a"), half, 3, name=f"{place}.b")
        y = layers.add(b, y, z)
    return yolo.conv(b, yolo.join(b, y, short), channels, name="last")


def _plain(b: GraphBuilder, parts: Sequence[Tensor], channels: int) -> Tensor:
    """The same without residuals, three pairs, on what is joined."""
    x = yolo.conv(b, yolo.join(b, *parts, name="parts"), channels, name="first")
    short, y = yolo.conv(b, x, channels, name="short"), x
    for place in range(3):
        y = yolo.conv(b, yolo.conv(b, y, channels, name=f"{place}.a"), channels, 3, name=f"{place}.b")
    return yolo.conv(b, yolo.join(b, y, short), channels, name="last")


def _pyramid(b: GraphBuilder, x: Tensor) -> Tensor:
    half = x.shape[1] // 2
    short, y = yolo.conv(b, x, half, name="short"), yolo.conv(b, x, half, name="main0")
    y = yolo.conv(b, yolo.conv(b, y, half, 3, name="main1"), half, name="main2")
    pools = [layers.pool(b, y, "max", k, stride=1, padding=k // 2, name=f"pool{k}") for k in (5, 9, 13)]
    y = yolo.conv(b, yolo.conv(b, yolo.join(b, y, *pools), half, name="mixed"), half, 3, name="after")
    return yolo.conv(b, yolo.join(b, y, short, name="both"), half, name="last")


def _levels(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """Features at strides of 8, 16, 32 and 64."""
    batch, channels, height, width = image.shape
    x = b.add(Reshape((batch, channels, height // 2, 2, width // 2, 2)), image)
    x = b.add(Transpose((0, 3, 5, 1, 2, 4)), x, name="reorg")
    x = yolo.conv(b, b.add(Reshape((batch, 4 * channels, height // 2, width // 2)), x), 64, 3, name="stem")
    found = []
    for place, (size, count) in enumerate(_STAGES):
        with b.scope(f"stage{place}"):
            x = _stage(b, x, size, count)
        found.append(x)
    with b.scope("pyramid"):
        return [*found[1:4], _pyramid(b, x)]


def _yolor(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
    """Boxes at strides 8 to 64, (batch, 3 (5 + classes), rows, cols)."""
    yolo.check_size(image, 64)
    *levels, x = _levels(b, image)
    side = [x]
    for level in reversed(levels):
        channels = level.shape[1] // 2
        with b.scope(f"down{len(side)}"):
            up = yolo.up(b, yolo.conv(b, x, channels, name="narrow"))
            x = _plain(b, (yolo.conv(b, level, channels, name="lateral"), up), channels)
        side.insert(0, x)
    found = [x]
    for place, lateral in enumerate(side[1:]):
        with b.scope(f"up{place}"):
            channels = lateral.shape[1]
            x = _plain(b, (yolo.conv(b, x, channels, 3, 2, name="back"), lateral), channels)
        found.append(x)
    boxes = []
    for place, (level, hidden) in enumerate(zip(found, (256, 384, 512, 640), strict=True)):
        with b.scope(f"head{place}"):
            y = layers.add(b, yolo.conv(b, level, hidden, 3, name="hidden"), b.weight("shift", (1, hidden, 1, 1)))
            y = layers.conv(b, y, _ANCHORS * (5 + classes), 1, name="boxes")
            boxes.append(layers.multiply(b, y, b.weight("scale", (1, y.shape[1], 1, 1)), name="scaled"))
    return tuple(boxes)


image_network(
    "yolor_p6",
    _yolor,
    title="YOLOR-P6",
    source="Wang et al. 2021, You Only Learn One Representation: Unified Network for Multiple Tasks, Fig. 8",
    published=Published(
        parameters=37_265_016, macs=163.1e9, at={"height": 1280, "width": 1280}, tolerance=0.01,
        source="WongKinYiu/yolor: 37 M, 326.2 GFLOP at 1280 x 1280",
    ),
    what="Object detector (overlaps are not suppressed).",
    size=640,
    labels=80,
)  # fmt: skip
