"""RepViTs with the branches of training by the names of timm, as its benchmarks run them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.operators.reshape import Reshape
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "RepViT"]


@dataclass(frozen=True, slots=True)
class RepViT:
    """Width and blocks of each stage, the strided one left out.

    ``first``: the first release, whose 1x1 branches are normalised by themselves. Of two classifiers the mean counts.
    """

    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    first: bool = False

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = layers.conv_bn_act(b, image, self.widths[0] // 2, 3, stride=2, act="gelu", name="stem0")
        x = layers.conv_bn_act(b, x, self.widths[0], 3, stride=2, act="", name="stem1")
        for stage, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True)):
            with b.scope(f"stage{stage}"):
                if stage:
                    with b.scope("down"):
                        x = self._perceptron(b, self._mixed(b, x))
                        x = layers.conv_bn_act(b, x, x.shape[1], 3, stride=2, groups=x.shape[1], act="", name="halved")
                        x = self._perceptron(b, layers.conv_bn_act(b, x, width, 1, act="", name="widen"), "mlp2")
                for place in range(depth):
                    with b.scope(f"block{place}"):
                        x = self._mixed(b, x)
                        x = image_layers.channel_gate(b, x, 1 / 4) if place % 2 == 0 else x
                        x = self._perceptron(b, x)
        y = b.add(Reshape((*x.shape[:2], 1, 1)), layers.global_average(b, x))
        first, second = (
            layers.linear(b, layers.flatten(b, layers.batch_norm(b, y, name=f"{name}_bn")), classes, name=name)
            for name in ("head", "head_distilled")
        )
        return layers.multiply(b, layers.add(b, first, second), b.state("half", (1,)))

    def _mixed(self, b: GraphBuilder, x: Tensor) -> Tensor:
        """Depthwise 3x3, depthwise 1x1 and x, summed (Wang et al. 2024, RepViT, Fig. 4)."""
        width = x.shape[1]
        y = layers.conv_bn_act(b, x, width, 3, groups=width, act="", name="depthwise")
        if self.first:
            z = layers.conv_bn_act(b, x, width, 1, groups=width, act="", name="point")
        else:
            z = layers.conv(b, x, width, 1, groups=width, name="point")
        y = layers.add(b, layers.add(b, y, z, name="both"), x, name="with_input")
        return y if self.first else layers.batch_norm(b, y, name="mixed_bn")

    def _perceptron(self, b: GraphBuilder, x: Tensor, name: str = "mlp") -> Tensor:
        with b.scope(name):
            y = layers.conv_bn_act(b, x, 2 * x.shape[1], 1, act="gelu", name="up")
            return layers.add(b, x, layers.conv_bn_act(b, y, x.shape[1], 1, act="", name="down"))


_M1, _M2, _M3 = (48, 96, 192, 384), (64, 128, 256, 512), (64, 128, 256, 512)
_NETWORKS: Mapping[str, RepViT] = MappingProxyType(
    {
        "repvit_m1": RepViT(_M1, (2, 2, 14, 2), first=True),
        "repvit_m2": RepViT(_M2, (2, 2, 12, 2), first=True),
        "repvit_m3": RepViT(_M3, (4, 4, 18, 2), first=True),
        "repvit_m0_9": RepViT(_M1, (2, 2, 14, 2)),
        "repvit_m1_0": RepViT((56, 112, 224, 448), (2, 2, 14, 2)),
        "repvit_m1_1": RepViT(_M2, (2, 2, 12, 2)),
        "repvit_m1_5": RepViT(_M2, (4, 4, 24, 4)),
        "repvit_m2_3": RepViT((80, 160, 320, 640), (6, 6, 34, 2)),
    }
)
"""Wang et al. 2024, RepViT, section 4.1; the strided block of a stage is not counted."""


def _find(name: str) -> Sized | None:
    return Sized(_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="repvit",
        title="depthwise convolutions with branches, not merged",
        source="Wang et al. 2024, RepViT: Revisiting Mobile CNN From ViT Perspective",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
