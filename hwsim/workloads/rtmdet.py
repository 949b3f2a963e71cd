"""RTMDet, medium (Lyu et al. 2022, RTMDet: An Empirical Study of Designing Real-Time Object Detectors, section 3).

As open-mmlab/mmdetection builds it (rtmdet_m_8xb32-300e_coco): heads share their convolutions between levels, but not
the normalisations behind them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.exp import Exp
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads import yolo_blocks as yolo
from hwsim.workloads.cspnext import conv, csp_stage, cspnext
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_HEAD, _STACKED, _COUNT = 192, 2, 2


def _merged(b: GraphBuilder, parts: Sequence[Tensor], channels: int, name: str) -> Tensor:
    with b.scope(name):
        return csp_stage(b, yolo.join(b, *parts), channels, _COUNT, linked=False, gated=False)


def _neck(b: GraphBuilder, levels: Sequence[Tensor]) -> list[Tensor]:
    """Coarse features down to finer ones, then back, and to one width."""
    fine, middle, coarse = levels
    top = conv(b, coarse, middle.shape[1], 1, name="reduce0")
    x = _merged(b, (yolo.up(b, top, "up0"), middle), middle.shape[1], "down0")
    side = conv(b, x, fine.shape[1], 1, name="reduce1")
    found = [_merged(b, (yolo.up(b, side, "up1"), fine), fine.shape[1], "down1")]
    for place, other in enumerate((side, top)):
        back = conv(b, found[-1], found[-1].shape[1], 3, 2, name=f"back{place}")
        found.append(_merged(b, (back, other), 2 * back.shape[1], f"merge{place}"))
    return [conv(b, x, _HEAD, 3, name=f"out{place}") for place, x in enumerate(found)]


def _shared(b: GraphBuilder, x: Tensor, weights: Sequence[Tensor], name: str) -> Tensor:
    for place, weight in enumerate(weights):
        y = b.add(Conv2d(padding=(1, 1)), x, weight, name=f"{name}{place}")
        x = layers.activation(b, layers.batch_norm(b, y, f"{name}{place}_bn"), "silu", name=f"{name}{place}_silu")
    return x


def _rtmdet(b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Scores of classes (batch, places, classes) and distances to the four sides at strides 8, 16 and 32."""
    yolo.check_size(image)
    levels = _neck(b, cspnext(b, image)[1:])
    kernels = {
        kind: [b.weight(f"{kind}{place}.weight", (_HEAD, _HEAD, 3, 3)) for place in range(_STACKED)]
        for kind in ("class", "box")
    }
    scores, boxes = [], []
    for place, level in enumerate(levels):
        with b.scope(f"head{place}"):
            rows = (image.shape[0], level.shape[2] * level.shape[3], -1)
            y = layers.conv(b, _shared(b, level, kernels["class"], "class"), classes, 1, name="scores")
            y = layers.activation(b, b.add(Transpose((0, 2, 3, 1)), y), "sigmoid")
            scores.append(b.add(Reshape(rows), y))
            y = layers.conv(b, _shared(b, level, kernels["box"], "box"), 4, 1, name="boxes")
            y = layers.multiply(b, b.add(Exp(), y), b.state("stride", (1,)))
            boxes.append(b.add(Reshape(rows), b.add(Transpose((0, 2, 3, 1)), y)))
    return b.add(Concat(1), *scores), b.add(Concat(1), *boxes)


image_network(
    "rtmdet_m",
    _rtmdet,
    title="RTMDet-m",
    source="Lyu et al. 2022, RTMDet: An Empirical Study of Designing Real-Time Object Detectors, Table 5",
    published=Published(
        parameters=24_710_000,
        macs=39.27e9,
        tolerance=0.01,
        source="mmdetection model zoo: 24.71 M, 39.27 GFLOP (as MACs)",
    ),
    what="Object detector (overlaps are not suppressed).",
    size=640,
    labels=80,
)
