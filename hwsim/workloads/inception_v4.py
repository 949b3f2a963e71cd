"""Inception-v4.

Source: Szegedy et al. 2017, Inception-v4, Inception-ResNet and the Impact of Residual Connections, Fig. 3-9.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.layers import Pair
from hwsim.workloads.registry import Published

__all__: list[str] = []

_Step = tuple[int, Pair]
"""Channels, kernel; a chain of them is one branch."""


def _chain(b: GraphBuilder, x: Tensor, steps: Sequence[_Step], name: str, *, last: int = 1) -> Tensor:
    """Convolutions that keep the size; with ``last`` 2 the final one halves it without padding."""
    for place, (channels, kernel) in enumerate(steps):
        final = place == len(steps) - 1 and last > 1
        x = layers.conv_bn_act(
            b, x, channels, kernel, stride=last if final else 1, padding=0 if final else None, name=f"{name}.{place}"
        )
    return x


def _join(b: GraphBuilder, *parts: Tensor) -> Tensor:
    return b.add(Concat(1), *parts)


def _block(b: GraphBuilder, x: Tensor, pooled: int, branches: Sequence[Sequence[_Step]], name: str) -> Tensor:
    with b.scope(name):
        mean = layers.pool(b, x, "average", 3, stride=1, padding=1)
        parts = [_chain(b, mean, ((pooled, 1),), "pool")]
        return _join(b, *parts, *(_chain(b, x, steps, f"b{place}") for place, steps in enumerate(branches)))


def _halved(b: GraphBuilder, x: Tensor, branches: Sequence[Sequence[_Step]], name: str) -> Tensor:
    with b.scope(name):
        parts = [_chain(b, x, steps, f"b{place}", last=2) for place, steps in enumerate(branches)]
        return _join(b, layers.pool(b, x, "max", 3, stride=2), *parts)


def _wide_block(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    """Inception-C: two branches end in a 1x3 and a 3x1 beside each other (Fig. 6)."""
    with b.scope(name):
        mean = layers.pool(b, x, "average", 3, stride=1, padding=1)
        parts = [_chain(b, mean, ((256, 1),), "pool"), _chain(b, x, ((256, 1),), "b0")]
        for place, stem in enumerate((((384, 1),), ((384, 1), (448, (1, 3)), (512, (3, 1))))):
            y = _chain(b, x, stem, f"b{place + 1}")
            parts += [_chain(b, y, ((256, kernel),), f"b{place + 1}{kernel}") for kernel in ((1, 3), (3, 1))]
        return _join(b, *parts)


def _inception_v4(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, padding=0, name="stem0")
    x = layers.conv_bn_act(b, x, 32, 3, padding=0, name="stem1")
    x = layers.conv_bn_act(b, x, 64, 3, name="stem2")
    x = _halved(b, x, (((96, 3),),), "stem3")
    left = layers.conv_bn_act(b, _chain(b, x, ((64, 1),), "stem4a"), 96, 3, padding=0, name="stem4b")
    right = _chain(b, x, ((64, 1), (64, (1, 7)), (64, (7, 1))), "stem5a")
    x = _join(b, left, layers.conv_bn_act(b, right, 96, 3, padding=0, name="stem5b"))
    x = _halved(b, x, (((192, 3),),), "stem6")
    for place in range(4):
        x = _block(b, x, 96, (((96, 1),), ((64, 1), (96, 3)), ((64, 1), (96, 3), (96, 3))), f"a{place}")
    x = _halved(b, x, (((384, 3),), ((192, 1), (224, 3), (256, 3))), "reduce_a")
    long = ((192, 1), (192, (1, 7)), (224, (7, 1)), (224, (1, 7)), (256, (7, 1)))
    for place in range(7):
        x = _block(b, x, 128, (((384, 1),), ((192, 1), (224, (1, 7)), (256, (7, 1))), long), f"b{place}")
    x = _halved(b, x, (((192, 1), (192, 3)), ((256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3))), "reduce_b")
    for place in range(3):
        x = _wide_block(b, x, f"c{place}")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "inception_v4",
    _inception_v4,
    title="Inception-v4",
    source="Szegedy et al. 2017, Inception-v4, Inception-ResNet and the Impact of Residual Connections, Fig. 3-9",
    published=Published(
        parameters=42_700_000, macs=12.3e9, tolerance=0.01, source="coral.ai benchmarks and timm: 42.7 M, 12.3 GMAC"
    ),
    size=299,
    minimum=75,
)
