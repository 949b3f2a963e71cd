"""TResNets (Ridnik et al. 2021, TResNet: High Performance GPU-Dedicated Architecture) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.reshape import Reshape
from hwsim.operators.transpose import Transpose
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "TResNet"]

_SIDE = 4
"""Pixels along each side of the squares that become channels first."""


@dataclass(frozen=True, slots=True)
class TResNet:
    """Blocks of each stage and width of the first; ``deep``: bottlenecks in the first two stages as well."""

    depths: tuple[int, int, int, int]
    width: int = 64
    deep: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        batch, channels, height, across = image.shape
        x = b.add(Reshape((batch, channels, height // _SIDE, _SIDE, across // _SIDE, _SIDE)), image)
        x = b.add(Transpose((0, 3, 5, 1, 2, 4)), x, name="space_to_depth")
        x = b.add(Reshape((batch, channels * _SIDE * _SIDE, height // _SIDE, across // _SIDE)), x)
        x = self._conv(b, x, self.width, 3, slope=0.01, name="stem")
        for stage, depth in enumerate(self.depths):
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x, stage, 2 if stage and place == 0 else 1)
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _block(self, b: GraphBuilder, x: Tensor, stage: int, stride: int) -> Tensor:
        inner = self.width << stage
        basic = stage < 2 and not self.deep
        width = inner if basic else 4 * inner
        shortcut = x
        if stride > 1 or x.shape[1] != width:
            shortcut = layers.pool(b, x, "average", 2, ceil=True, name="shortcut_pool") if stride > 1 else x
            shortcut = self._conv(b, shortcut, width, 1, name="shortcut")
        if basic:
            y = self._softened(b, x, inner, stride, "conv1")
            y = self._gated(b, self._conv(b, y, width, 3, name="conv2"), max(inner // 4, 64))
        else:
            y = self._softened(b, self._conv(b, x, inner, 1, slope=1e-3, name="conv1"), inner, stride, "conv2")
            y = y if stage == 3 else self._gated(b, y, max(4 * inner // 8, 64))
            y = self._conv(b, y, width, 1, name="conv3")
        return layers.activation(b, layers.add(b, y, shortcut), "relu")

    def _softened(self, b: GraphBuilder, x: Tensor, width: int, stride: int, name: str) -> Tensor:
        """A 3x3 convolution whose stride is that of a fixed filter behind it."""
        y = self._conv(b, x, width, 3, slope=1e-3, name=name)
        return image_layers.blur(b, y, 3, stride, name=f"{name}_blur") if stride > 1 else y

    def _gated(self, b: GraphBuilder, x: Tensor, squeezed: int) -> Tensor:
        return layers.squeeze_excite(b, x, squeezed, act="relu", gate="sigmoid")

    def _conv(
        self, b: GraphBuilder, x: Tensor, width: int, kernel: int, *, slope: float | None = None, name: str
    ) -> Tensor:
        y = layers.conv_bn_act(b, x, width, kernel, act="", name=name)
        return y if slope is None else b.add(LeakyRelu(slope), y, name=f"{name}_act")


_NETWORKS: Mapping[str, tuple[TResNet, int]] = MappingProxyType(
    {
        "tresnet_m": (TResNet((3, 4, 11, 3)), 224),
        "tresnet_l": (TResNet((4, 5, 18, 3), 76), 224),
        "tresnet_xl": (TResNet((4, 5, 24, 3), 83), 224),
        "tresnet_v2_l": (TResNet((3, 4, 23, 3), deep=True), 224),
    }
)
"""Ridnik et al. 2021, Table 2."""


def _find(name: str) -> Sized | None:
    return Sized(*_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="tresnet",
        title="residual network that folds squares of pixels into channels",
        source="Ridnik et al. 2021, TResNet: High Performance GPU-Dedicated Architecture, Table 2",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
