"""Vision transformers on features of a convolutional network, by the names of timm."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hwsim.graph.graph import GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.workloads import image_layers, layers
from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.resnet import ResNet
from hwsim.workloads.timm.preact import standard_features
from hwsim.workloads.vit import VisionTransformer

__all__ = ["FAMILIES"]

_Backbone = Callable[[GraphBuilder, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Standard:
    """Stages of a ResNet with standardised weights; without any, its stem."""

    depths: tuple[int, ...]

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        return standard_features(b, image, self.depths)


@dataclass(frozen=True, slots=True)
class _Residual:
    """The first stages of a ResNet-D."""

    depths: tuple[int, int, int, int]
    stages: int = 4

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        return ResNet(self.depths, True, 1, 64, (32, 32, 64), True).features(b, image, self.stages)


def _tiered(b: GraphBuilder, image: Tensor) -> Tensor:
    """Three convolutions of stride 4, 2 and 2, the last bare (Vasu et al. 2024, MobileCLIP, section 4)."""
    x = layers.conv_bn_act(b, image, 192, 4, stride=4, padding=0, act="gelu", name="stem0")
    x = layers.conv_bn_act(b, x, 192, 2, stride=2, padding=0, act="gelu", name="stem1")
    return layers.conv(b, x, 768, 2, stride=2, padding=0, name="stem2")


@dataclass(frozen=True, slots=True)
class _Normed:
    """Inverted residuals with layer norms of two widths, then a strided convolution (Chen et al. 2024, ViTamin)."""

    first: int
    last: int

    def __call__(self, b: GraphBuilder, image: Tensor) -> Tensor:
        x = layers.conv(b, image, self.first, 3, stride=2, name="stem0")
        x = layers.activation(b, image_layers.channel_norm(b, x, "stem_norm"), "gelu")
        x = layers.conv(b, x, self.first, 3, name="stem1")
        for stage, depth in enumerate((2, 4)):
            for place in range(depth):
                with b.scope(f"stage{stage}.{place}"):
                    x = self._block(b, x, self.first << stage, 1 if place else 2)
        x = image_layers.channel_norm(b, x, "down_norm")
        return layers.conv(b, x, self.last, 3, stride=2, name="down")

    def _block(self, b: GraphBuilder, x: Tensor, width: int, stride: int) -> Tensor:
        shortcut = layers.pool(b, x, "average", 3, stride=2, padding=1, name="shortcut_pool") if stride > 1 else x
        if x.shape[1] != width:
            shortcut = layers.conv(b, shortcut, width, 1, name="shortcut")
        y = layers.conv(b, image_layers.channel_norm(b, x, "norm"), 4 * width, 1, name="expand")
        y = layers.conv(
            b, layers.activation(b, y, "gelu"), 4 * width, 3, stride=stride, groups=4 * width, name="depthwise"
        )
        return layers.add(b, layers.conv(b, layers.activation(b, y, "gelu"), width, 1, name="project"), shortcut)


_VITAMINS: Mapping[str, tuple[int, int, int, int, int]] = MappingProxyType(
    {
        # width of the first stage, width, layers, heads, length of the embedding
        "small": (64, 384, 14, 6, 384),
        "base": (128, 768, 14, 12, 768),
        "large": (160, 1024, 31, 16, 768),
        "large2": (160, 1024, 31, 16, 1024),
        "xlarge": (192, 1152, 32, 16, 1152),
    }
)
"""Chen et al. 2024, ViTamin, Table 2."""
_26, _50 = (2, 2, 2, 2), (3, 4, 6, 3)
_BACKBONES: Mapping[str, tuple[_Backbone, int]] = MappingProxyType(
    {
        # and the side of a patch of features
        "r_s16_p8": (_Standard(()), 8),
        "r26_s32": (_Standard(_26), 1),
        "r50_s16": (_Standard((3, 4, 9)), 1),
        "r50_s32": (_Standard(_50), 1),
        "resnet26d": (_Residual(_26), 1),
        "resnet50d_s16": (_Residual(_50, 3), 1),
        "resnet50d": (_Residual(_50), 1),
    }
)
_SIZES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12), "large": (1024, 24, 16)}
)
"""Width, layers, heads (Dosovitskiy et al. 2021, Table 1)."""


def _find(name: str) -> Sized | None:
    if name == "vit_base_mci_224":
        network = VisionTransformer(
            depth=12, width=768, heads=12, patch=1, backbone=_tiered, projected=False, token_positions=False
        )
        return Sized(network)
    found = re.match(r"vitamin_(small|base|large2?|xlarge)_(\d{3})$", name)
    if found is not None:
        first, width, depth, heads, labels = _VITAMINS[found[1]]
        network = VisionTransformer(
            depth=depth,
            width=width,
            heads=heads,
            hidden=4 * width,
            gated=True,
            parted=True,
            patch=1,
            tokens=0,
            pool="average",
            norm_pooled=True,
            positions=found[1] != "xlarge",
            backbone=_Normed(first, width),
            projected=False,
        )
        return Sized(network, int(found[2]), labels)
    found = re.match(r"vit_(tiny|small|base|large)_(r[a-z0-9_]+?)_(\d{3})$", name)
    if found is None or found[2] not in _BACKBONES:
        return None
    width, depth, heads = _SIZES[found[1]]
    backbone, patch = _BACKBONES[found[2]]
    hidden = 0
    if found[1] == "small" and found[2].startswith("resnet"):
        width, depth, heads, hidden = 768, 8, 8, 3 * 768
    network = VisionTransformer(depth=depth, width=width, heads=heads, hidden=hidden, patch=patch, backbone=backbone)
    return Sized(network, int(found[3]))


FAMILIES = (
    ImageFamily(
        name="hybrid vit",
        title="vision transformer on convolutional features",
        source="Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, section 3.1; Steiner et al. 2022",
        examples=("vitamin_small_224", "vit_base_r50_s16_224", "vit_small_r26_s32_384", "vit_base_resnet50d_224"),
        find=_find,
    ),
)
