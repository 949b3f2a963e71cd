"""OSNet: streams of one to four light 3x3 convolutions, weighed by a gate they share (Zhou et al. 2019, Fig. 4).

Layers as KaiyangZhou/deep-person-reid has them, from memory, checked by their counts.
"""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.reshape import Reshape
from hwsim.workloads import layers
from hwsim.workloads.families import image_filter
from hwsim.workloads.registry import Published

__all__: list[str] = []


def _light(b: GraphBuilder, x: Tensor, name: str) -> Tensor:
    channels = x.shape[1]
    x = layers.conv(b, x, channels, 1, bias=False, name=f"{name}.point")
    return layers.conv_bn_act(b, x, channels, 3, groups=channels, name=f"{name}.depthwise")


def _block(b: GraphBuilder, x: Tensor, channels: int) -> Tensor:
    inner = channels // 4
    y = layers.conv_bn_act(b, x, inner, 1, name="conv1")
    squeezed = max(1, inner // 16)
    with b.scope("gate"):
        shared = [
            (b.weight(f"weight{place}", (n, k, 1, 1)), b.weight(f"bias{place}", (n,)))
            for place, (n, k) in enumerate(((squeezed, inner), (inner, squeezed)))
        ]
    total: Tensor | None = None
    for stream in range(1, 5):
        z = y
        for step in range(stream):
            z = _light(b, z, f"stream{stream}.{step}")
        with b.scope(f"stream{stream}.gate"):
            gate = b.add(Reshape((*z.shape[:2], 1, 1)), layers.global_average(b, z))
            gate = layers.activation(b, b.add(Conv2d(), gate, *shared[0], name="fc1"), "relu")
            gate = layers.activation(b, b.add(Conv2d(), gate, *shared[1], name="fc2"), "sigmoid")
            z = layers.multiply(b, z, gate)
        total = z if total is None else layers.add(b, total, z, name=f"sum{stream}")
    assert total is not None
    y = layers.conv_bn_act(b, total, channels, 1, act="", name="conv3")
    if x.shape[1] != channels:
        x = layers.conv_bn_act(b, x, channels, 1, act="", name="downsample")
    return layers.activation(b, layers.add(b, y, x), "relu")


def _osnet(b: GraphBuilder, image: Tensor) -> Tensor:
    """(batch, 512): an embedding."""
    x = layers.pool(b, layers.conv_bn_act(b, image, 64, 7, stride=2, name="stem"), "max", 3, stride=2, padding=1)
    for stage, channels in enumerate((256, 384, 512)):
        for place in range(2):
            with b.scope(f"stage{stage}.{place}"):
                x = _block(b, x, channels)
        if stage < 2:
            x = layers.conv_bn_act(b, x, channels, 1, name=f"transition{stage}")
            x = layers.pool(b, x, "average", 2)
    x = layers.global_average(b, layers.conv_bn_act(b, x, 512, 1, name="last"))
    return layers.activation(b, layers.linear(b, x, 512, name="embedding"), "relu")


image_filter(
    "osnet_x1_0",
    _osnet,
    title="OSNet",
    source="Zhou et al. 2019, Omni-Scale Feature Learning for Person Re-Identification, section 3",
    published=Published(parameters=2_190_000, macs=0.98e9, tolerance=0.03, source="Zhou et al. 2019, Table 2: 2.2 M"),
    what="Embeds people, to tell them apart.",
    size=(256, 128),
)
