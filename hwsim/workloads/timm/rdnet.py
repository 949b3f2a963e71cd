"""RDNets (Kim et al. 2024, DenseNets Reloaded) by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.concat import Concat
from hwsim.operators.reshape import Reshape
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "RDNet"]

_LAYERS = 3
"""Layers of each stage, every one of which reads all before it."""


@dataclass(frozen=True, slots=True)
class RDNet:
    """Channels of the stem, growth of a layer in each stage, and the stages that begin with a stride.

    From the third stage on channels are gated.
    """

    stem: int
    growths: tuple[int, ...]
    strided: tuple[int, ...]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv(b, image, self.stem, 4, stride=4, padding=0, name="stem")
        x = image_layers.channel_norm(b, x, "stem_norm")
        for stage, growth in enumerate(self.growths):
            with b.scope(f"stage{stage}"):
                if stage:
                    side = 2 if stage in self.strided else 1
                    x = image_layers.channel_norm(b, x, "between_norm")
                    x = layers.conv(b, x, x.shape[1] // 16 * 8, side, stride=side, padding=0, name="between")
                made = [x]
                for place in range(_LAYERS):
                    with b.scope(f"layer{place}"):
                        made.append(self._layer(b, made, growth, gated=stage > 1))
                x = b.add(Concat(1), *made, name="join")
        y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        return layers.linear(b, layers.flatten(b, image_layers.channel_norm(b, y, "norm")), classes, name="head")

    def _layer(self, b: GraphBuilder, made: list[Tensor], growth: int, *, gated: bool) -> Tensor:
        x = b.add(Concat(1), *made, name="join") if len(made) > 1 else made[0]
        width = x.shape[1]
        y = image_layers.channel_norm(b, layers.conv(b, x, width, 7, groups=width, name="depthwise"), "norm")
        y = layers.activation(b, layers.conv(b, y, width * 4 // 8 * 8, 1, name="up"), "gelu")
        y = layers.conv(b, y, growth, 1, name="down")
        y = image_layers.whole_gate(b, y, "hardsigmoid") if gated else y
        return layers.multiply(b, y, b.weight("scale", (growth, 1, 1)), name="layer_scale")


_NETWORKS: Mapping[str, RDNet] = MappingProxyType(
    {
        "rdnet_tiny": RDNet(64, (64, 104, *[128] * 4, 224), (1, 2, 6)),
        "rdnet_small": RDNet(72, (64, 128, *[128] * 7, 240, 240), (1, 2, 9)),
        "rdnet_base": RDNet(120, (96, 128, *[168] * 7, 336, 336), (1, 2, 9)),
        "rdnet_large": RDNet(144, (128, 192, *[256] * 8, 360, 360), (1, 2, 10)),
    }
)
"""Kim et al. 2024, Table 4."""


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="rdnet",
        title="dense connections of large depthwise convolutions",
        source="Kim et al. 2024, DenseNets Reloaded: Paradigm Shift Beyond ResNets and ViTs",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
