"""Inception-ResNet v2 (Szegedy et al. 2017, Inception-v4, Inception-ResNet, Fig. 3 and 16 to 19), as Keras has it."""

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

_Branch = Sequence[tuple[int, Pair]]
"""Channels and kernel of convolutions in a chain."""


def _chain(b: GraphBuilder, x: Tensor, steps: _Branch, name: str, *, halve: bool = False) -> Tensor:
    for place, (channels, kernel) in enumerate(steps):
        last = halve and place == len(steps) - 1
        x = layers.conv_bn_act(
            b, x, channels, kernel, stride=2 if last else 1, padding=0 if last else None, name=f"{name}.{place}"
        )
    return x


def _residual(b: GraphBuilder, x: Tensor, branches: Sequence[_Branch], *, last: bool = False) -> Tensor:
    """Branches joined, brought to the width of x with a bias, and added to it."""
    parts = [_chain(b, x, steps, f"b{place}") for place, steps in enumerate(branches)]
    y = layers.conv(b, b.add(Concat(1), *parts), x.shape[1], 1, name="up")
    x = layers.add(b, x, y)
    return x if last else layers.activation(b, x, "relu")


def _halved(b: GraphBuilder, x: Tensor, branches: Sequence[_Branch], name: str) -> Tensor:
    with b.scope(name):
        parts = [_chain(b, x, steps, f"b{place}", halve=True) for place, steps in enumerate(branches)]
        return b.add(Concat(1), *parts, layers.pool(b, x, "max", 3, stride=2))


_A: Sequence[_Branch] = (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
_B: Sequence[_Branch] = (((192, 1),), ((128, 1), (160, (1, 7)), (192, (7, 1))))
_C: Sequence[_Branch] = (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))


def _inception_resnet_v2(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, padding=0, name="stem0")
    x = layers.conv_bn_act(b, layers.conv_bn_act(b, x, 32, 3, padding=0, name="stem1"), 64, 3, name="stem2")
    x = layers.pool(b, x, "max", 3, stride=2)
    x = layers.conv_bn_act(b, layers.conv_bn_act(b, x, 80, 1, name="stem3"), 192, 3, padding=0, name="stem4")
    x = layers.pool(b, x, "max", 3, stride=2)
    with b.scope("mixed5"):
        mean = layers.pool(b, x, "average", 3, stride=1, padding=1)
        first: Sequence[_Branch] = (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
        parts = [_chain(b, x, steps, f"b{place}") for place, steps in enumerate(first)]
        x = b.add(Concat(1), *parts, _chain(b, mean, ((64, 1),), "pool"))
    for stage, (count, branches) in enumerate(((10, _A), (20, _B), (10, _C))):
        if stage == 1:
            x = _halved(b, x, (((384, 3),), ((256, 1), (256, 3), (384, 3))), "mixed6")
        if stage == 2:
            x = _halved(b, x, (((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3))), "mixed7")
        for place in range(count):
            with b.scope(f"stage{stage}.{place}"):
                x = _residual(b, x, branches, last=stage == 2 and place == count - 1)
    x = layers.conv_bn_act(b, x, 1536, 1, name="last")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "inception_resnet_v2",
    _inception_resnet_v2,
    title="Inception-ResNet v2",
    source="Szegedy et al. 2017, Inception-v4, Inception-ResNet, Fig. 3 and 16 to 19",
    published=Published(parameters=55_843_464, macs=13.2e9, tolerance=0.005, source="timm, results: 55.84 M, 13.18 G"),
    size=299,
    minimum=139,
)
