"""MobileOnes with the branches of training by the names of timm, as its benchmarks run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.add import Add
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "MobileOne", "branches"]


def branches(
    b: GraphBuilder,
    x: Tensor,
    channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    count: int = 1,
    scaled: bool = True,
    whole: bool = False,
    name: str,
) -> Tensor:
    """Convolutions side by side, a 1x1 one unless ``scaled`` is off, and a norm of x (Vasu et al. 2023, Fig. 3).

    Branches that are not there count as the number 0 in the published code, so that sums have kernels all the same:
    one for each convolution and one for the norm; those of ``whole`` blocks begin with the norm and the 1x1.
    """
    with b.scope(name):
        same = channels == x.shape[1] and stride == 1
        identity = layers.batch_norm(b, x, name="identity") if same else None
        point = None
        if kernel > 1 and scaled:
            point = layers.conv_bn_act(b, x, channels, 1, stride=stride, padding=0, groups=groups, act="", name="point")
        made = [
            layers.conv_bn_act(b, x, channels, kernel, stride=stride, groups=groups, act="", name=f"conv{place}")
            for place in range(count)
        ]
        parts: list[Tensor | None] = [point, identity, *made] if whole else [point, *made, identity]
        y = parts[0]
        for place, part in enumerate(parts[1:]):
            if y is not None and part is not None:
                y = layers.add(b, y, part, name=f"sum{place}")
            elif (only := y if y is not None else part) is not None:
                y = b.add(Add(0.0), only, name=f"sum{place}")
        assert y is not None, name
        return y


@dataclass(frozen=True, slots=True)
class MobileOne:
    """Widths over those of the paper, convolutions side by side, gated blocks of the last two stages."""

    widths: tuple[float, float, float, float]
    count: int = 1
    gated: tuple[int, int] = (0, 0)

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        first = min(64, int(64 * self.widths[0]))
        x = layers.activation(b, branches(b, image, first, 3, stride=2, name="stem"), "relu")
        gated = (0, 0, *self.gated)
        for stage, (depth, base) in enumerate(((2, 64), (8, 128), (10, 256), (1, 512))):
            channels = int(base * self.widths[stage])
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    stride, wide = 1 if place else 2, x.shape[1]
                    squeezed = place >= depth - gated[stage]
                    y = branches(b, x, wide, 3, stride=stride, groups=wide, count=self.count, name="depthwise")
                    y = self._ended(b, y, "depthwise", gated=squeezed)
                    y = branches(b, y, channels, 1, count=self.count, name="pointwise")
                    x = self._ended(b, y, "pointwise", gated=squeezed)
        return layers.linear(b, layers.global_average(b, x), classes, name="head")

    def _ended(self, b: GraphBuilder, y: Tensor, name: str, *, gated: bool) -> Tensor:
        with b.scope(f"{name}_end"):
            return layers.activation(b, image_layers.channel_gate(b, y) if gated else y, "relu")


_NETWORKS: Mapping[str, MobileOne] = MappingProxyType(
    {
        "mobileone_s0": MobileOne((0.75, 1.0, 1.0, 2.0), 4),
        "mobileone_s1": MobileOne((1.5, 1.5, 2.0, 2.5)),
        "mobileone_s2": MobileOne((1.5, 2.0, 2.5, 4.0)),
        "mobileone_s3": MobileOne((2.0, 2.5, 3.0, 4.0)),
        "mobileone_s4": MobileOne((3.0, 3.5, 3.5, 4.0), 1, (5, 1)),
    }
)
"""Vasu et al. 2023, MobileOne, Table 3."""


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="mobileone",
        title="depthwise convolutions with branches, not merged",
        source="Vasu et al. 2023, MobileOne: An Improved One Millisecond Mobile Backbone, Table 3",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
