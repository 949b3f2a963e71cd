"""MobileNetV3 (Howard et al. 2019, Searching for MobileNetV3, Tables 1 and 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.families import image_network, torchvision

__all__ = ["MobileNetV3"]

_Row = tuple[int, int, int, bool, str, int]
"""kernel, expanded channels, output channels, squeeze-and-excite, activation, stride."""

_LARGE: Sequence[_Row] = (  # Table 1
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hardswish", 2),
    (3, 200, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1),
    (3, 480, 112, True, "hardswish", 1),
    (3, 672, 112, True, "hardswish", 1),
    (5, 672, 160, True, "hardswish", 2),
    (5, 960, 160, True, "hardswish", 1),
    (5, 960, 160, True, "hardswish", 1),
)
_SMALL: Sequence[_Row] = (  # Table 2
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hardswish", 2),
    (5, 240, 40, True, "hardswish", 1),
    (5, 240, 40, True, "hardswish", 1),
    (5, 120, 48, True, "hardswish", 1),
    (5, 144, 48, True, "hardswish", 1),
    (5, 288, 96, True, "hardswish", 2),
    (5, 576, 96, True, "hardswish", 1),
    (5, 576, 96, True, "hardswish", 1),
)


def _block(b: GraphBuilder, x: Tensor, row: _Row) -> Tensor:
    kernel, expanded, channels, excited, act, stride = row
    y = layers.conv_bn_act(b, x, expanded, 1, act=act, name="expand") if expanded != x.shape[1] else x
    y = layers.conv_bn_act(b, y, expanded, kernel, stride=stride, groups=expanded, act=act, name="depthwise")
    if excited:
        y = layers.squeeze_excite(b, y, layers.divisible(expanded / 4), act="relu", gate="hardsigmoid")
    y = layers.conv_bn_act(b, y, channels, 1, act="", name="project")
    return layers.add(b, y, x) if y.shape == x.shape else y


@dataclass(frozen=True, slots=True)
class MobileNetV3:
    """Blocks, and the width of the layer before the last."""

    rows: Sequence[_Row]
    last: int

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, 16, 3, stride=2, act="hardswish", name="stem")
        for place, row in enumerate(self.rows):
            with b.scope(f"block{place}"):
                x = _block(b, x, row)
        x = layers.conv_bn_act(b, x, 6 * x.shape[1], 1, act="hardswish", name="head")
        y = layers.linear(b, layers.global_average(b, x), self.last, name="classifier0")
        return layers.linear(b, layers.activation(b, y, "hardswish"), classes, name="classifier1")


for _name, _table, _network, _parameters, _macs in (
    ("large", 1, MobileNetV3(_LARGE, 1280), 5_483_032, 0.2166e9),
    ("small", 2, MobileNetV3(_SMALL, 1024), 2_542_856, 0.0565e9),
):
    image_network(
        f"mobilenet_v3_{_name}",
        _network,
        title=f"MobileNetV3-{_name.capitalize()} 1.0",
        source=f"Howard et al. 2019, Searching for MobileNetV3, Table {_table}",
        published=torchvision(_parameters, _macs),
        what="Image classifier with squeeze-and-excite blocks and hard-swish.",
    )
