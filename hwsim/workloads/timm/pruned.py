"""EfficientNets and ResNets after pruning (Aflalo et al. 2020, Knapsack Pruning) by the names of timm.

Channels as published with timm (``timm/models/_pruned``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES", "PrunedEfficientNet", "PrunedResNet"]

_KERNELS, _STRIDES = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)


@dataclass(frozen=True, slots=True)
class PrunedEfficientNet:
    """Channels of the stem and the last layer; of each stage: its width, squeezed and inner widths of its blocks."""

    stem: int
    last: int
    stages: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = self._conv(b, image, self.stem, 3, stride=2, name="stem")
        for stage, (width, squeezed, inner) in enumerate(self.stages):
            for place, (few, wide) in enumerate(zip(squeezed, inner, strict=True)):
                stride = _STRIDES[stage] if place == 0 else 1
                with b.scope(f"stage{stage}.{place}"):
                    y = self._conv(b, x, wide, 1, name="expand") if stage else x
                    y = self._conv(b, y, wide, _KERNELS[stage], stride=stride, groups=wide, name="depthwise")
                    y = layers.squeeze_excite(b, y, few, act="silu", gate="sigmoid")
                    y = self._conv(b, y, width, 1, act="", name="project")
                    x = layers.add(b, y, x) if place else y
        x = self._conv(b, x, self.last, 1, name="head")
        return layers.linear(b, layers.global_average(b, x), classes, name="classifier")

    def _conv(
        self,
        b: GraphBuilder,
        x: Tensor,
        width: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        act: str = "silu",
        name: str,
    ) -> Tensor:
        padding = None
        if stride > 1:
            x, padding = image_layers.same_padding(b, x, kernel, stride, name), 0
        return layers.conv_bn_act(
            b, x, width, kernel, stride=stride, padding=padding, groups=groups, act=act, name=name
        )


@dataclass(frozen=True, slots=True)
class PrunedResNet:
    """Of each stage: its width, widths of the first and of the second convolution of each block."""

    stages: tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]

    def __call__(self, b: GraphBuilder, image: Tensor, classes: int) -> Tensor:
        """Logits (batch, classes)."""
        x = image
        for place, width in enumerate((32, 32, 64)):
            x = layers.conv_bn_act(b, x, width, 3, stride=1 if place else 2, name=f"stem{place}")
        x = layers.pool(b, x, "max", 3, stride=2, padding=1, name="stem_pool")
        for stage, (width, firsts, seconds) in enumerate(self.stages):
            for place, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
                stride = 2 if stage and place == 0 else 1
                with b.scope(f"stage{stage}.{place}"):
                    y = layers.conv_bn_act(b, x, first, 1, name="conv1")
                    y = layers.conv_bn_act(b, y, second, 3, stride=stride, name="conv2")
                    y = layers.conv_bn_act(b, y, width, 1, act="", name="conv3")
                    y = image_layers.efficient_gate(b, y, size=7 if stage == 3 else 5)
                    if place == 0:
                        x = layers.pool(b, x, "average", 2, ceil=True, name="shortcut_pool") if stride > 1 else x
                        x = layers.conv_bn_act(b, x, width, 1, act="", name="shortcut")
                    x = layers.activation(b, layers.add(b, y, x), "relu")
        return layers.linear(b, layers.global_average(b, x), classes, name="fc")


_NETWORKS: Mapping[str, tuple[PrunedEfficientNet | PrunedResNet, int]] = MappingProxyType(
    {
        "efficientnet_b1_pruned": (
            PrunedEfficientNet(
                32,
                1280,
                (
                    (16, (8, 4), (32, 16)),
                    (12, (4, 6, 6), (48, 62, 48)),
                    (35, (6, 10, 10), (70, 61, 51)),
                    (74, (10, 20, 20, 20), (175, 188, 137, 164)),
                    (67, (20, 28, 28, 28), (399, 201, 160, 213)),
                    (192, (27, 48, 48, 48, 48), (637, 806, 798, 891, 990)),
                    (320, (48, 80), (1152, 1912)),
                ),
            ),
            240,
        ),
        "efficientnet_b2_pruned": (
            PrunedEfficientNet(
                32,
                1408,
                (
                    (16, (8, 4), (32, 16)),
                    (17, (4, 6, 6), (54, 69, 61)),
                    (42, (6, 12, 12), (86, 72, 98)),
                    (85, (12, 22, 22, 22), (245, 274, 254, 292)),
                    (116, (22, 30, 30, 30), (502, 315, 354, 443)),
                    (208, (30, 52, 52, 52, 52), (719, 1148, 1160, 1182, 1228)),
                    (352, (52, 88), (1248, 2112)),
                ),
            ),
            260,
        ),
        "efficientnet_b3_pruned": (
            PrunedEfficientNet(
                40,
                1536,
                (
                    (24, (10, 6), (40, 24)),
                    (12, (6, 8, 8), (27, 49, 48)),
                    (40, (8, 12, 12), (83, 90, 85)),
                    (93, (12, 24, 24, 24, 24), (215, 261, 219, 254, 236)),
                    (120, (24, 34, 34, 33, 34), (480, 235, 217, 226, 340)),
                    (232, (34, 58, 58, 58, 58, 58), (802, 1030, 924, 1016, 1130, 1266)),
                    (384, (58, 96), (1392, 2301)),
                ),
            ),
            300,
        ),
        "ecaresnet50d_pruned": (
            PrunedResNet(
                (
                    (19, (47, 52, 64), (18, 22, 35)),
                    (171, (85, 107, 120, 125), (37, 80, 85, 87)),
                    (818, (198, 255, 256, 253, 256, 256), (126, 232, 233, 235, 225, 239)),
                    (2022, (492, 512, 512), (237, 500, 490)),
                )
            ),
            224,
        ),
        "ecaresnet101d_pruned": (
            PrunedResNet(
                (
                    (26, (45, 53, 60), (25, 20, 27)),
                    (142, (81, 93, 102, 122), (24, 49, 54, 78)),
                    (
                        278,
                        (
                            *(101, 239, 234, 250, 253, 251, 230, 244, 244, 238, 244, 253, 245, 255, 256, 253, 254, 256),
                            *(256, 255, 256, 256, 256),
                        ),
                        (
                            *(25, 160, 156, 176, 191, 175, 128, 154, 159, 97, 149, 181, 119, 216, 201, 149, 141, 190),
                            *(217, 156, 155, 232, 214),
                        ),
                    ),
                    (2042, (499, 512, 512), (289, 512, 502)),
                )
            ),
            224,
        ),
    }
)


def _find(name: str) -> Sized | None:
    return Sized(*_NETWORKS[name]) if name in _NETWORKS else None


FAMILIES = (
    ImageFamily(
        name="pruned",
        title="pruned network",
        source="Aflalo et al. 2020, Knapsack Pruning with Inner Distillation; channels as in timm",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
