"""Inception v3 (Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, Table 1)."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_Step = tuple[int, layers.Pair]
"""Channels and kernel of one convolution."""


def _chain(b: GraphBuilder, x: Tensor, steps: Sequence[_Step], name: str, *, shrink: bool = False) -> Tensor:
    """Convolutions in a row; ``shrink`` lets the last one halve the size, without padding."""
    for place, (channels, kernel) in enumerate(steps):
        halves = shrink and place == len(steps) - 1
        stride, padding = (2, 0) if halves else (1, None)
        x = layers.conv_bn_act(b, x, channels, kernel, stride=stride, padding=padding, name=f"{name}.{place}")
    return x


def _pooled(b: GraphBuilder, x: Tensor, channels: int) -> Tensor:
    y = layers.pool(b, x, "average", 3, stride=1, padding=1)
    return layers.conv_bn_act(b, y, channels, 1, name="pooled")


def _module_a(b: GraphBuilder, x: Tensor, pooled: int) -> Tensor:
    """Fig. 5: 1x1, 5x5, two 3x3, pooling."""
    return b.add(
        Concat(1),
        _chain(b, x, [(64, 1)], "branch1"),
        _chain(b, x, [(48, 1), (64, 5)], "branch5"),
        _chain(b, x, [(64, 1), (96, 3), (96, 3)], "branch3"),
        _pooled(b, x, pooled),
    )


def _module_c(b: GraphBuilder, x: Tensor, inner: int) -> Tensor:
    """Fig. 6: 7x7 convolutions taken apart into 1x7 and 7x1."""
    wide, high = (1, 7), (7, 1)
    return b.add(
        Concat(1),
        _chain(b, x, [(192, 1)], "branch1"),
        _chain(b, x, [(inner, 1), (inner, wide), (192, high)], "branch7"),
        _chain(b, x, [(inner, 1), (inner, high), (inner, wide), (inner, high), (192, wide)], "branch77"),
        _pooled(b, x, 192),
    )


def _module_e(b: GraphBuilder, x: Tensor) -> Tensor:
    """Fig. 7: 3x3 convolutions taken apart side by side."""
    y = _chain(b, x, [(384, 1)], "branch3")
    z = _chain(b, x, [(448, 1), (384, 3)], "branch33")
    halves = [
        _chain(b, part, [(384, kernel)], f"{name}.{kernel[0]}x{kernel[1]}")
        for part, name in ((y, "branch3"), (z, "branch33"))
        for kernel in ((1, 3), (3, 1))
    ]
    return b.add(Concat(1), _chain(b, x, [(320, 1)], "branch1"), *halves, _pooled(b, x, 192))


def _shrink(b: GraphBuilder, x: Tensor, first: Sequence[_Step], second: Sequence[_Step]) -> Tensor:
    """Half the size: two chains and a max pooling side by side (Fig. 10)."""
    return b.add(
        Concat(1),
        _chain(b, x, first, "branch1", shrink=True),
        _chain(b, x, second, "branch2", shrink=True),
        layers.pool(b, x, "max", 3, stride=2),
    )


def _stem(b: GraphBuilder, image: Tensor) -> Tensor:
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, padding=0, name="stem.0")
    x = layers.conv_bn_act(b, x, 32, 3, padding=0, name="stem.1")
    x = layers.conv_bn_act(b, x, 64, 3, name="stem.2")
    x = layers.pool(b, x, "max", 3, stride=2)
    x = layers.conv_bn_act(b, x, 80, 1, name="stem.3")
    x = layers.conv_bn_act(b, x, 192, 3, padding=0, name="stem.4")
    return layers.pool(b, x, "max", 3, stride=2)


def _inception_v3(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes); the auxiliary classifier serves training only."""
    x = _stem(b, image)
    for name, pooled in (("5b", 32), ("5c", 64), ("5d", 64)):
        with b.scope(f"mixed{name}"):
            x = _module_a(b, x, pooled)
    with b.scope("mixed6a"):
        x = _shrink(b, x, [(384, 3)], [(64, 1), (96, 3), (96, 3)])
    for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        with b.scope(f"mixed{name}"):
            x = _module_c(b, x, inner)
    with b.scope("mixed7a"):
        x = _shrink(b, x, [(192, 1), (320, 3)], [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3)])
    for name in ("7b", "7c"):
        with b.scope(f"mixed{name}"):
            x = _module_e(b, x)
    return layers.linear(b, layers.global_average(b, x), classes, name="fc")


image_network(
    "inception_v3",
    _inception_v3,
    title="Inception v3",
    source="Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, Table 1",
    published=Published(
        parameters=23_834_568,
        macs=5.713e9,
        source="torchvision weight metadata (_ops); its 27,161,264 parameters include the auxiliary classifier",
    ),
    what="Image classifier of modules with factorized convolutions.",
    size=299,
    minimum=75,
)
