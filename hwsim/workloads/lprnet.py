"""LPRNet, a reader of number plates (Zherzdev and Gruzdev 2018, LPRNet, Table 2), as sirius-ai/LPRNet_Pytorch has it.

From memory, checked by its counts.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.div import Div
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.slice import Slice
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.layers import Pair
from hwsim.workloads.registry import Published

__all__: list[str] = []


_KERNELS: tuple[Pair, ...] = (1, (3, 1), (1, 3))


def _basic(b: GraphBuilder, x: Tensor, channels: int, name: str) -> Tensor:
    """Convolutions of 1x1, 3x1, 1x3 and 1x1 at a quarter of the width."""
    inner = channels // 4
    with b.scope(name):
        for place, kernel in enumerate(_KERNELS):
            x = layers.activation(b, layers.conv(b, x, inner, kernel, name=str(place)), "relu")
        x = layers.conv(b, x, channels, 1, name="3")
        return layers.activation(b, layers.batch_norm(b, x), "relu")


def _thinned(b: GraphBuilder, x: Tensor, step: int) -> Tensor:
    """Maxima in windows of 3x3 with every other column, of every ``step``-th channel."""
    x = layers.pool(b, x, "max", 3, stride=(1, 2))
    return b.add(Slice(1, 0, x.shape[1] // step), x)


def _scaled(b: GraphBuilder, x: Tensor) -> Tensor:
    """X over the mean of its squares."""
    square = layers.multiply(b, x, x, name="square")
    return b.add(Div(), x, b.add(ReduceAxes("mean", (1, 2, 3), True), square, name="power"))


def _lprnet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """(batch, classes, columns)."""
    x = layers.conv(b, image, 64, 3, padding=0, name="stem")
    kept = [layers.activation(b, layers.batch_norm(b, x), "relu")]
    x = _basic(b, layers.pool(b, kept[0], "max", 3, stride=1), 128, "basic0")
    kept.append(x)
    x = _basic(b, _thinned(b, x, 2), 256, "basic1")
    x = _basic(b, x, 256, "basic2")
    kept.append(x)
    x = layers.conv_bn_act(b, _thinned(b, x, 4), 256, (1, 4), padding=0, name="wide")
    kept.append(layers.conv_bn_act(b, x, classes, (13, 1), padding=0, name="tall"))
    parts = []
    for place, level in enumerate(kept):
        with b.scope(f"context{place}"):
            x = level
            if place < 2:
                x = layers.pool(b, x, "average", 5, stride=5)
            elif place == 2:
                x = layers.pool(b, x, "average", (4, 10), stride=(4, 2))
            parts.append(_scaled(b, x))
    x = layers.conv(b, b.add(Concat(1), *parts), classes, 1, name="container")
    return b.add(ReduceAxes("mean", (2,)), x)


image_network(
    "lprnet",
    _lprnet,
    title="LPRNet",
    source="Zherzdev and Gruzdev 2018, LPRNet, Table 2; sirius-ai/LPRNet_Pytorch",
    published=Published(parameters=446_000, tolerance=0.02, source="sirius-ai/LPRNet_Pytorch README: 1.7 MB"),
    what="Reads number plates.",
    size=(24, 94),
    minimum=24,
    labels=68,
)
