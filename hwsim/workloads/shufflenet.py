"""ShuffleNet (Zhang et al. 2018, ShuffleNet: An Extremely Efficient CNN for Mobile Devices, Table 1)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_GROUPS = 3
_STAGES = ((240, 4), (480, 8), (960, 4))
"""Channels and units of stages 2, 3 and 4 for three groups."""


def _grouped(b: GraphBuilder, x: Tensor, channels: int, groups: int, act: str, name: str) -> Tensor:
    """A pointwise convolution within groups."""
    return layers.conv_bn_act(b, x, channels, 1, groups=groups, act=act, name=name)


def _shuffled(b: GraphBuilder, x: Tensor) -> Tensor:
    """Channels of the groups interleaved (Fig. 1c)."""
    batch, channels, height, width = x.shape
    y = b.add(Reshape((batch, _GROUPS, channels // _GROUPS, height, width)), x)
    return b.add(Reshape(x.shape), b.add(Transpose((0, 2, 1, 3, 4)), y, name="shuffle"))


def _unit(b: GraphBuilder, x: Tensor, channels: int, *, first: bool, stem: bool) -> Tensor:
    """Fig. 2b, or 2c where ``first`` of its stage; after the ``stem`` the first convolution has no groups."""
    own = channels - x.shape[1] if first else channels
    y = _grouped(b, x, (own if stem else channels) // 4, 1 if stem else _GROUPS, "relu", "conv1")
    y = y if stem else _shuffled(b, y)
    width = y.shape[1]
    y = layers.conv_bn_act(b, y, width, 3, stride=2 if first else 1, groups=width, act="", name="depthwise")
    y = _grouped(b, y, own, _GROUPS, "", "conv2")
    if not first:
        return layers.activation(b, layers.add(b, x, y), "relu")
    kept = layers.pool(b, x, "average", 3, stride=2, padding=1, name="kept")
    return layers.activation(b, b.add(Concat(1), kept, y), "relu")


def _shufflenet(b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
    """Logits (batch, classes)."""
    x = layers.conv_bn_act(b, image, 24, 3, stride=2, name="stem")
    x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="maxpool")
    for stage, (channels, count) in enumerate(_STAGES):
        for place in range(count):
            with b.scope(f"stage{stage + 2}.{place}"):
                x = _unit(b, x, channels, first=place == 0, stem=stage == place == 0)
    return layers.linear(b, layers.global_average(b, x), classes, name="fc")


image_network(
    "shufflenet",
    _shufflenet,
    title="ShuffleNet 1x, three groups",
    source="Zhang et al. 2018, ShuffleNet: An Extremely Efficient CNN for Mobile Devices, Table 1",
    published=Published(macs=137e6, tolerance=0.03, source="Zhang et al. 2018, Table 1: 137 MFLOPs"),
    what="Image classifier of grouped pointwise convolutions and shuffled channels.",
)
