"""Segmentation of streets by branches of two resolutions that exchange features: DDRNet and PIDNet.

Sources: Hong et al. 2021, Deep Dual-resolution Networks, Figs. 3 and 4 (chenjun2hao/DDRNet.pytorch at 2caaa15);
Xu, Xiong and Bhattacharyya 2023, PIDNet, Figs. 4 to 6 (XuJiacong/PIDNet at fefa517).
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.sub import Sub
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published, sources

__all__: list[str] = []

_WIDTH = 32
"""Channels of the stem; those of later stages are multiples of it."""


def _basic(b: GraphBuilder, x: Tensor, channels: int, count: int, stride: int = 1, name: str = "layer") -> Tensor:
    """Pairs of 3x3 convolutions around links; the last pair ends without its activation."""
    for place in range(count):
        with b.scope(f"{name}.{place}"):
            step = stride if place == 0 else 1
            y = layers.conv_bn_act(b, x, channels, 3, stride=step, name="conv1")
            y = layers.conv_bn_act(b, y, channels, 3, act="", name="conv2")
            if y.shape != x.shape:
                x = layers.conv_bn_act(b, x, channels, 1, stride=step, act="", name="downsample")
            x = layers.add(b, y, x)
            x = layers.activation(b, x, "relu") if place < count - 1 else x
    return x


def _bottleneck(b: GraphBuilder, x: Tensor, channels: int, count: int = 1, stride: int = 1, *, name: str) -> Tensor:
    """Bottlenecks that double the channels, without an activation at the end."""
    for place in range(count):
        with b.scope(f"{name}.{place}"):
            step = stride if place == 0 else 1
            y = layers.conv_bn_act(b, x, channels, 1, name="conv1")
            y = layers.conv_bn_act(b, y, channels, 3, stride=step, name="conv2")
            y = layers.conv_bn_act(b, y, 2 * channels, 1, act="", name="conv3")
            if y.shape != x.shape:
                x = layers.conv_bn_act(b, x, 2 * channels, 1, stride=step, act="", name="downsample")
            x = layers.add(b, y, x)
            x = layers.activation(b, x, "relu") if place == 0 and count > 1 else x
    return x


def _relu(b: GraphBuilder, x: Tensor) -> Tensor:
    return layers.activation(b, x, "relu")


def _before(b: GraphBuilder, x: Tensor, channels: int, kernel: int = 1, groups: int = 1, *, name: str) -> Tensor:
    """Batch normalisation, activation and a convolution, in that order."""
    x = _relu(b, layers.batch_norm(b, x, f"{name}_bn"))
    return layers.conv(b, x, channels, kernel, groups=groups, bias=False, name=name)


def _stem(b: GraphBuilder, image: Tensor) -> Tensor:
    x = image
    for place in range(2):
        x = layers.conv(b, x, _WIDTH, 3, stride=2, name=f"stem{place}")
        x = _relu(b, layers.batch_norm(b, x, f"stem{place}_bn"))
    return x


def _pyramid(b: GraphBuilder, x: Tensor, channels: int, out: int, *, parallel: bool) -> Tensor:
    """Means over growing windows; each level refined after the one before, or all of them in one grouped layer."""
    first = _before(b, x, channels, name="scale0")
    levels, last = [first], first
    sizes = ((5, 2), (9, 4), (17, 8), (0, 0))
    for place, (kernel, stride) in enumerate(sizes, start=1):
        if kernel:
            y = layers.pool(b, x, "average", kernel, stride=stride, padding=kernel // 2, name=f"pool{place}")
        else:
            y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        y = _before(b, y, channels, name=f"scale{place}")
        y = layers.add(b, resized(b, y, x.shape, name=f"resize{place}"), last, name=f"add{place}")
        if not parallel:
            y = last = _before(b, y, channels, 3, name=f"process{place}")
        levels.append(y)
    if parallel:
        joined = _before(b, b.add(Concat(1), *levels[1:]), 4 * channels, 3, groups=4, name="process")
        levels = [first, joined]
    y = _before(b, b.add(Concat(1), *levels), out, name="compression")
    return layers.add(b, y, _before(b, x, out, name="shortcut"))


def _head(b: GraphBuilder, x: Tensor, channels: int, classes: int) -> Tensor:
    x = _before(b, x, channels, 3, name="head0")
    x = _relu(b, layers.batch_norm(b, x, "head1_bn"))
    return layers.conv(b, x, classes, 1, name="head1")


def _merged(b: GraphBuilder, x: Tensor, coarse: Tensor, kernel: int, name: str) -> Tensor:
    """Fine features plus coarse ones that a convolution has brought to as many channels."""
    y = layers.conv_bn_act(b, coarse, x.shape[1], kernel, act="", name=name)
    return layers.add(b, x, resized(b, y, x.shape, name=f"{name}_resize"), name=f"{name}_add")


def _ddrnet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """DDRNet-23-slim: scores at an eighth of the size."""
    w = _WIDTH
    x = _relu(b, _basic(b, _stem(b, image), w, 2, name="layer1"))
    second = _relu(b, _basic(b, x, 2 * w, 2, 2, name="layer2"))
    x = _basic(b, second, 4 * w, 2, 2, name="layer3")
    fine = _basic(b, second, 2 * w, 2, name="fine3")
    down = layers.conv_bn_act(b, _relu(b, fine), 4 * w, 3, stride=2, act="", name="down3")
    fine = _merged(b, fine, _relu(b, x), 1, "compression3")
    x = _basic(b, _relu(b, layers.add(b, x, down)), 8 * w, 2, 2, name="layer4")
    fine4 = _basic(b, _relu(b, fine), 2 * w, 2, name="fine4")
    down = layers.conv_bn_act(b, _relu(b, fine4), 4 * w, 3, stride=2, name="down4a")
    down = layers.conv_bn_act(b, down, 8 * w, 3, stride=2, act="", name="down4b")
    fine = _relu(b, _merged(b, fine4, _relu(b, x), 1, "compression4"))
    fine = _bottleneck(b, fine, 2 * w, name="fine5")
    x = _bottleneck(b, _relu(b, layers.add(b, x, down)), 8 * w, stride=2, name="layer5")
    x = _pyramid(b, x, 128, 4 * w, parallel=False)
    return _head(b, layers.add(b, resized(b, x, fine.shape), fine), 64, classes)


def _weighted(b: GraphBuilder, gate: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(1 - gate) x + gate y."""
    rest = b.add(Sub(), b.state("one", (1,)), gate)
    return layers.add(b, layers.multiply(b, rest, x), layers.multiply(b, gate, y))


def _guided(b: GraphBuilder, x: Tensor, coarse: Tensor, name: str) -> Tensor:
    """Fine features mixed with coarse ones where the two agree (PIDNet, Fig. 4)."""
    with b.scope(name):
        y = layers.conv_bn_act(b, coarse, x.shape[1], 1, act="", name="compression")
        query = layers.conv_bn_act(b, y, x.shape[1] // 2, 1, act="", name="f_y")
        key = layers.conv_bn_act(b, x, x.shape[1] // 2, 1, act="", name="f_x")
        product = layers.multiply(b, key, resized(b, query, x.shape, name="resize_query"))
        gate = layers.activation(b, b.add(ReduceAxes("sum", (1,), True), product), "sigmoid")
        return _weighted(b, gate, x, resized(b, y, x.shape, name="resize"))


def _by_edges(b: GraphBuilder, fine: Tensor, context: Tensor, edges: Tensor) -> Tensor:
    """Detail where there are edges, context elsewhere (PIDNet, Fig. 6, the light form)."""
    gate = layers.activation(b, edges, "sigmoid")
    rest = b.add(Sub(), b.state("one", (1,)), gate)
    first = layers.add(b, layers.multiply(b, rest, context), fine)
    second = layers.add(b, context, layers.multiply(b, gate, fine))
    size = fine.shape[1]
    first = layers.conv_bn_act(b, first, size, 1, act="", name="mix0")
    return layers.add(b, first, layers.conv_bn_act(b, second, size, 1, act="", name="mix1"))


def _pidnet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """PIDNet-S: scores at an eighth of the size, without the heads that only training uses."""
    w = _WIDTH
    x = _relu(b, _basic(b, _stem(b, image), w, 2, name="layer1"))
    x = _relu(b, _basic(b, x, 2 * w, 2, 2, name="layer2"))
    fine = _basic(b, x, 2 * w, 2, name="fine3")
    edges = _basic(b, x, w, 1, name="edges3")
    x = _relu(b, _basic(b, x, 4 * w, 3, 2, name="layer3"))
    fine = _guided(b, fine, x, "guide3")
    edges = _merged(b, edges, x, 3, "difference3")
    x = _relu(b, _basic(b, x, 8 * w, 3, 2, name="layer4"))
    fine = _basic(b, _relu(b, fine), 2 * w, 2, name="fine4")
    edges = _bottleneck(b, _relu(b, edges), w, name="edges4")
    fine = _guided(b, fine, x, "guide4")
    edges = _merged(b, edges, x, 3, "difference4")
    fine = _bottleneck(b, _relu(b, fine), 2 * w, name="fine5")
    edges = _bottleneck(b, _relu(b, edges), 2 * w, name="edges5")
    x = _bottleneck(b, x, 8 * w, 2, 2, name="layer5")
    x = resized(b, _pyramid(b, x, 96, 4 * w, parallel=True), fine.shape, name="resize")
    return _head(b, _by_edges(b, fine, x, edges), 128, classes)


_SOURCES: Sequence[str] = (
    "Hong et al. 2021: 5.7 M, 36.3 GFLOP (as MACs)",
    "Xu et al. 2023: 7.6 M, 47.6 GFLOP (as MACs)",
)
for _name, _title, _network, _parameters, _macs, _source in (
    ("ddrnet23_slim", "DDRNet-23-slim", _ddrnet, 5.7e6, 36.3e9, _SOURCES[0]),
    ("pidnet_s", "PIDNet-S", _pidnet, 7.6e6, 47.6e9, _SOURCES[1]),
):
    image_network(
        _name,
        _network,
        title=_title,
        source=sources(__doc__),
        published=Published(parameters=int(_parameters), macs=_macs, tolerance=0.02, source=_source),
        what="Semantic segmentation.",
        size=(1024, 2048),
        labels=19,
    )
