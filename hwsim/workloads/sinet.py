"""SINet (Park et al. 2020, SINet: Extreme Lightweight Portrait Segmentation, Figs. 2 and 3).

Layers as clovaai/ext_portrait_segmentation has them (models/SINet.py, at 9bc1bad).
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.prelu import PRelu
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.reshape import Reshape
from hwsim.operators.softmax import Softmax
from hwsim.operators.sub import Sub
from hwsim.operators.transpose import Transpose
from hwsim.operators.upsample import Resize
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_Branch = tuple[int, int]
"""Kernel, and the window of the mean before it (undone behind it)."""
_QUARTER: tuple[tuple[_Branch, _Branch], ...] = (((3, 1), (5, 1)), ((3, 1), (3, 1)))
_EIGHTH: tuple[tuple[_Branch, _Branch], ...] = (
    *(((3, 1), (5, 1)), ((3, 1), (3, 1)), ((5, 1), (3, 2)), ((5, 2), (3, 4))),
    *(((3, 1), (3, 1)), ((5, 1), (5, 1)), ((3, 2), (3, 4)), ((3, 1), (5, 2))),
)


def _prelu(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    shape = (x.shape[1], *(1,) * (len(x.shape) - 2))
    return b.add(PRelu(), x, b.weight(f"{name}_slope", shape), name=f"{name}_prelu")


def _conv(b: GraphBuilder, x: Tensor, channels: int, kernel: int, stride: int = 1, *, name: str) -> Tensor:
    """A convolution, batch normalisation and a learned slope."""
    return _prelu(b, layers.conv_bn_act(b, x, channels, kernel, stride=stride, act="", name=name), name)


def _normed(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    return _prelu(b, layers.batch_norm(b, x, f"{name}_bn"), name)


def _gated(b: GraphBuilder, x: Tensor, divide: int) -> Tensor:
    """Channels scaled by layers over their means, which end in a learned slope."""
    size = x.shape[1]
    with b.scope("gate"):
        y = layers.global_average(b, x)
        if divide > 1:
            y = _prelu(b, layers.linear(b, y, size // divide, name="squeeze"), "squeeze")
        y = _prelu(b, layers.linear(b, y, size, name="excite"), "excite")
        return layers.multiply(b, b.add(Reshape((x.shape[0], size, 1, 1)), y), x)


def _separable(b: GraphBuilder, x: Tensor, channels: int, divide: int, name: str) -> Tensor:
    """A depthwise convolution of stride two, a gate and a pointwise one."""
    with b.scope(name):
        size = x.shape[1]
        y = _gated(b, layers.conv(b, x, size, 3, stride=2, groups=size, bias=False, name="depthwise"), divide)
        return _conv(b, y, channels, 1, name="point")


def _shuffled(b: GraphBuilder, x: Tensor, groups: int) -> Tensor:
    batch, channels, height, width = x.shape
    y = b.add(Reshape((batch, groups, channels // groups, height, width)), x)
    return b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1, 3, 4)), y, name="shuffle"))


def _branch(b: GraphBuilder, x: Tensor, kind: _Branch, name: str) -> Tensor:
    kernel, window = kind
    with b.scope(name):
        size = x.shape[1]
        y = layers.pool(b, x, "average", window) if window > 1 else x
        y = layers.conv_bn_act(b, y, size, kernel, groups=size, act="", name="depthwise")
        y = layers.conv(b, _prelu(b, y, "inner"), size, 1, bias=False, name="point")
        y = b.add(Resize(scales=(window, window), mode="bilinear"), y) if window > 1 else y
        return layers.batch_norm(b, y, "bn")


def _module(b: GraphBuilder, x: Tensor, channels: int, kinds: tuple[_Branch, _Branch], name: str) -> Tensor:
    """Channels squeezed, shuffled, seen at two scales and joined (Fig. 3)."""
    with b.scope(name):
        y = _shuffled(b, layers.conv(b, x, channels // 2, 1, groups=2, bias=False, name="squeeze"), 2)
        y = b.add(Concat(1), *(_branch(b, y, kind, f"branch{place}") for place, kind in enumerate(kinds)))
        return _normed(b, layers.add(b, x, y) if y.shape == x.shape else y, "out")


def _doubled(b: GraphBuilder, x: Tensor) -> Tensor:
    return b.add(Resize(scales=(2, 2), mode="bilinear"), x)


def _network(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Scores (batch, classes, height, width); coarse ones gate what finer features add."""
    x = b.add(Sub(), image, b.state("means", (3, 1, 1)))
    x = layers.multiply(b, x, b.state("deviations", (3, 1, 1)))
    x = first = _separable(b, _conv(b, x, 12, 3, 2, name="stem"), 16, 1, "down0")
    for place, kinds in enumerate(_QUARTER):
        x = _module(b, x, 48, kinds, f"quarter{place}")
    quarter = x
    x = second = _separable(b, _normed(b, b.add(Concat(1), first, x), "join0"), 48, 2, "down1")
    for place, kinds in enumerate(_EIGHTH):
        x = _module(b, x, 96, kinds, f"eighth{place}")
    x = _normed(b, b.add(Concat(1), second, x), "join1")
    coarse = layers.conv(b, x, classes, 1, bias=False, name="coarse")
    coarse = layers.batch_norm(b, _doubled(b, coarse), "coarse_bn")
    sure = b.add(ReduceAxes("max", (1,), True), b.add(Softmax(axis=1), coarse))
    gate = b.add(Sub(), b.state("one", (1,)), sure)
    fine = layers.multiply(b, _conv(b, quarter, classes, 1, name="detail"), gate)
    x = layers.batch_norm(b, _doubled(b, layers.add(b, fine, coarse)), "fine_bn")
    return layers.conv(b, _doubled(b, x), classes, 3, bias=False, name="scores")


image_network(
    "sinet",
    _network,
    title="SINet",
    source="Park et al. 2020, SINet: Extreme Lightweight Portrait Segmentation Networks; its published code",
    published=Published(parameters=86_900, tolerance=0.03, source="Park et al. 2020: 86.9 K parameters"),
    what="Segmentation of a portrait from its background.",
    size=224,
    labels=2,
)
