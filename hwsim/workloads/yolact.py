"""YOLACT on RegNets: instance masks as sums of prototypes (Bolya et al. 2019, YOLACT, section 3).

As hailo_model_zoo has it: heads with one more convolution for boxes, classes and masks each, weights of their own at
each of the five levels; inferred from its counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import layers
from hwsim.workloads.backbones import resized
from hwsim.workloads.families import image_network
from hwsim.workloads.registry import Published
from hwsim.workloads.regnet import RegNet

__all__: list[str] = []

_ANCHORS, _MASKS, _WIDTH = 3, 32, 256


@dataclass(frozen=True, slots=True)
class Yolact:
    """Detector and prototypes on a RegNet."""

    backbone: RegNet

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> tuple[Tensor, ...]:
        """Prototypes at a quarter of the size; boxes, classes and coefficients at strides 8 to 128."""
        levels = self.backbone.levels(b, image)[1:]
        side = [layers.conv(b, x, _WIDTH, 1, name=f"lateral{place}") for place, x in enumerate(levels)]
        for place in (1, 0):
            side[place] = layers.add(b, side[place], resized(b, side[place + 1], side[place].shape))
        found = [self._conv(b, x, f"fpn{place}") for place, x in enumerate(side)]
        for place in range(2):
            found.append(layers.conv(b, found[-1], _WIDTH, 3, stride=2, name=f"down{place}"))
        outputs = [self._prototypes(b, found[0])]
        for place, level in enumerate(found):
            x = self._conv(b, level, f"head{place}")
            for name, count, act in (("boxes", 4, ""), ("classes", classes + 1, ""), ("masks", _MASKS, "tanh")):
                y = self._conv(b, x, f"{name}{place}_extra")
                y = layers.conv(b, y, _ANCHORS * count, 3, name=f"{name}{place}")
                outputs.append(layers.activation(b, y, act))
        return tuple(outputs)

    def _conv(self, b: GraphBuilder, x: Tensor, name: str) -> Tensor:
        return layers.activation(b, layers.conv(b, x, _WIDTH, 3, name=name), "relu")

    def _prototypes(self, b: GraphBuilder, x: Tensor) -> Tensor:
        for place in range(3):
            x = self._conv(b, x, f"proto{place}")
        x = resized(b, x, (2 * x.shape[2], 2 * x.shape[3]), name="proto_up")
        x = self._conv(b, x, "proto3")
        return layers.activation(b, layers.conv(b, x, _MASKS, 1, name="proto4"), "relu")


for _name, _network, _parameters in (
    ("yolact_regnetx_016", Yolact(RegNet((2, 4, 10, 2), (72, 168, 408, 912), 24, squeeze=0.0)), 30.09e6),
    ("yolact_regnetx_008", Yolact(RegNet((1, 3, 7, 5), (64, 128, 288, 672), 16, squeeze=0.0)), 28.3e6),
):
    image_network(
        _name,
        _network,
        title=f"YOLACT on {'RegNetX-1.6GF' if _name.endswith('016') else 'RegNetX-800MF'}",
        source="Bolya et al. 2019, YOLACT, section 3; hailo_model_zoo, public models",
        published=Published(
            parameters=int(_parameters),
            tolerance=0.02,
            source="hailo_model_zoo, from memory: 30.09 M and 28.3 M",
        ),
        what="Instance segmentation (masks are not assembled, overlaps not suppressed).",
        size=512,
        labels=80,
    )
