"""BGNet (Sun et al. 2022, Boundary-Guided Camouflaged Object Detection, Figs. 2 to 4), on Res2Net-50 v1b.

Layers as thograce/BGNet has them (net/bgnet.py, at 337501a), without the outputs that only training uses.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.split import Split
from hwsim.operators.upsample import Resize
from hwsim.workloads import image_layers, layers
from hwsim.workloads.backbones import dilated_conv, resized
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published

__all__: list[str] = []

_DEPTHS = (3, 4, 6, 3)
_INNER = 26
"""Channels of a part in the first stage (26w)."""
_PARTS = 4


def _bottleneck(b: GraphBuilder, x: Tensor, stage: int, first: bool) -> Tensor:
    """Parts of the channels one after the other, each reading the one before (Gao et al. 2019, Res2Net, Fig. 2b)."""
    inner, stride = _INNER << stage, 2 if first and stage else 1
    y = layers.conv_bn_act(b, x, inner * _PARTS, 1, name="conv1")
    pieces = b.add_all(Split(1, (inner,) * _PARTS), y)
    made: list[Tensor] = []
    for place in range(_PARTS - 1):
        read = pieces[place] if first or not made else layers.add(b, made[-1], pieces[place], name=f"sum{place}")
        made.append(layers.conv_bn_act(b, read, inner, 3, stride=stride, name=f"conv2.{place}"))
    last = pieces[-1]
    made.append(layers.pool(b, last, "average", 3, stride=stride, padding=1, name="pool") if first else last)
    y = layers.conv_bn_act(b, b.add(Concat(1), *made), 256 << stage, 1, act="", name="conv3")
    if first:
        x = layers.pool(b, x, "average", 2, ceil=True, name="downsample_pool") if stride > 1 else x
        x = layers.conv_bn_act(b, x, 256 << stage, 1, act="", name="downsample")
    return layers.activation(b, layers.add(b, y, x), "relu")


def _levels(b: GraphBuilder, image: Tensor) -> list[Tensor]:
    """Features at strides of 4 to 32."""
    x = image
    for place, channels in enumerate((32, 32, 64)):
        x = layers.conv_bn_act(b, x, channels, 3, stride=1 if place else 2, name=f"stem{place}")
    x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
    found = []
    for stage, depth in enumerate(_DEPTHS):
        for place in range(depth):
            with b.scope(f"layer{stage + 1}.{place}"):
                x = _bottleneck(b, x, stage, place == 0)
        found.append(x)
    return found


def _point(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    x = layers.batch_norm(b, layers.conv(b, x, channels, 1, name=name), f"{name}_bn")
    return layers.activation(b, x, "relu")


def _edges(b: GraphBuilder, levels: Sequence[Tensor]) -> Tensor:
    """Where borders of objects are, from the finest and the coarsest features (Fig. 3a)."""
    with b.scope("edges"):
        fine, coarse = _point(b, levels[0], 64, "fine"), _point(b, levels[3], 256, "coarse")
        x = b.add(Concat(1), resized(b, coarse, fine.shape), fine)
        for place in range(2):
            x = layers.conv_bn_act(b, x, 256, 3, name=f"conv{place}")
        return layers.activation(b, layers.conv(b, x, 1, 1, name="out"), "sigmoid")


def _guided(b: GraphBuilder, x: Tensor, edges: Tensor, name: str) -> Tensor:
    """Features raised at the borders, refined, their channels weighed (Fig. 3b)."""
    with b.scope(name):
        raised = layers.add(b, layers.multiply(b, x, resized(b, edges, x.shape)), x)
        return image_layers.efficient_gate(b, layers.conv_bn_act(b, raised, x.shape[1], 3, name="conv"))


def _joined(b: GraphBuilder, fine: Tensor, coarse: Tensor, name: str) -> Tensor:
    """Four parts of the channels in convolutions with growing holes, each reading its neighbours (Fig. 4)."""
    channels = fine.shape[1]
    part = channels // 4
    with b.scope(name):
        x = _point(b, b.add(Concat(1), fine, resized(b, coarse, fine.shape)), channels, "mix")
        pieces = b.add_all(Split(1, (part,) * 4), x)
        made: list[Tensor] = []
        for place, piece in enumerate(pieces):
            near = ([made[-1]] if made else []) + list(pieces[place + 1 : place + 2])
            read = piece
            for other in near:
                read = layers.add(b, read, other, name=f"sum{place}")
            made.append(dilated_conv(b, read, part, 3, dilation=place + 1, name=f"conv{place}"))
        y = _point(b, b.add(Concat(1), *made), channels, "join")
        return layers.conv_bn_act(b, layers.add(b, x, y), channels, 3, name="out")


def _network(b: GraphBuilder, image: Tensor) -> Tensor:
    """A mask (batch, 1, height, width)."""
    levels = _levels(b, image)
    edges = _edges(b, levels)
    reduced = [
        _point(b, _guided(b, x, edges, f"guide{place}"), channels, f"reduce{place}")
        for place, (x, channels) in enumerate(zip(levels, (64, 128, 256, 256), strict=True))
    ]
    x = reduced[3]
    for place in (2, 1, 0):
        x = _joined(b, reduced[place], x, f"join{place}")
    return b.add(Resize(scales=(4, 4), mode="bilinear"), layers.conv(b, x, 1, 1, name="mask"))


image_filter(
    "bgnet",
    _network,
    title="BGNet",
    source="Sun et al. 2022, Boundary-Guided Camouflaged Object Detection; Gao et al. 2019, Res2Net; its code",
    published=Published(parameters=77_800_000, tolerance=0.01, source="quic/ai-hub-models, model card: parameters"),
    what="Mask of a camouflaged object.",
    size=416,
)
