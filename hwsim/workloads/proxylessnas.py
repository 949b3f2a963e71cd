"""ProxylessNAS (Cai et al. 2019, Direct Neural Architecture Search on Target Task and Hardware, Fig. 4b, mobile)."""

from __future__ import annotations

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published

__all__: list[str] = []

_BLOCKS = (
    # channels, stride of the first, then (window, channels inside) of each block
    (32, 2, ((5, 48), (3, 96))),
    (40, 2, ((7, 96), (3, 120), (5, 120), (5, 120))),
    (80, 2, ((7, 240), (5, 240), (5, 240), (5, 240))),
    (96, 1, ((5, 480), (5, 288), (5, 288), (5, 288))),
    (192, 2, ((7, 576), (7, 1152), (7, 576), (7, 576))),
    (320, 1, ((7, 1152),)),
)


def _block(b: GraphBuilder, x: Tensor, channels: int, stride: int, kernel: int, hidden: int) -> Tensor:
    y = layers.conv_bn_act(b, x, hidden, 1, act="relu6", name="expand")
    y = layers.conv_bn_act(b, y, hidden, kernel, stride=stride, groups=hidden, act="relu6", name="depthwise")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


def _proxylessnas(b: GraphBuilder, image: Tensor, classes: int, first: int = 16) -> Tensor:
    """Logits (batch, classes); ``first``: channels of the first block."""
    x = layers.conv_bn_act(b, image, 32, 3, stride=2, act="relu6", name="stem")
    x = layers.conv_bn_act(b, x, 32, 3, groups=32, act="relu6", name="depthwise")
    x = layers.conv_bn_act(b, x, first, 1, act="", name="project")
    for stage, (channels, first_stride, blocks) in enumerate(_BLOCKS):
        for place, (kernel, hidden) in enumerate(blocks):
            with b.scope(f"stage{stage}.{place}"):
                x = _block(b, x, channels, first_stride if place == 0 else 1, kernel, hidden)
    x = layers.conv_bn_act(b, x, 1280, 1, act="relu6", name="head")
    return layers.linear(b, layers.global_average(b, x), classes, name="classifier")


image_network(
    "proxylessnas_mobile",
    _proxylessnas,
    title="ProxylessNAS (mobile)",
    source="Cai et al. 2019, ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware, Fig. 4",
    published=Published(
        parameters=4_080_512, macs=0.320e9, tolerance=0.01, source="mit-han-lab/proxylessnas: 4.08 M, 320 M MACs"
    ),
    what="Image classifier found by a search with measured latency, of windows up to 7 x 7.",
)
