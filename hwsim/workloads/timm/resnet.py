"""ResNets by the names of timm: ``[se|eca]resne[x]t[rs|aa|blur]<layers>[c|d|s|t][_<groups>x<width>d]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.resnet import ResNet

__all__ = ["FAMILIES"]

_DEPTHS: Mapping[int, tuple[int, int, int, int]] = MappingProxyType(
    {
        10: (1, 1, 1, 1),
        14: (1, 1, 1, 1),
        18: (2, 2, 2, 2),
        26: (2, 2, 2, 2),
        34: (3, 4, 6, 3),
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
        200: (3, 24, 36, 3),
        201: (3, 24, 36, 4),
        269: (3, 30, 48, 8),
        270: (4, 29, 53, 4),
        350: (4, 36, 72, 4),
        420: (4, 44, 87, 4),
    }
)
_BASIC = (10, 18, 34)
_DEEP = (32, 32, 64)
_STEMS: Mapping[str, tuple[tuple[int, ...], bool]] = MappingProxyType(
    {"": ((), False), "c": (_DEEP, False), "d": (_DEEP, True), "s": ((64, 64, 128), False), "t": ((24, 32, 64), True)}
)
"""By the letter of the name: channels of the stem's convolutions, whether shortcuts are pooled."""
_NAME = re.compile(r"(se|eca)?(wide_)?resne(x?)t(rs|aa|blur)?(\d+)([cdst]?)(?:_(\d+)x(\d+)d)?(_2|_gn)?$")


def _find(name: str) -> Sized | None:
    if name in ("senet154", "legacy_senet154"):
        return Sized(ResNet(_DEPTHS[152], True, 64, 4, (64, 64, 128), gate="se", down_kernel=3, reduced=2))
    if name == "ecaresnetlight":
        return Sized(ResNet((1, 1, 11, 3), average_down=True, gate="eca"))
    found = _NAME.match(name)
    if found is None or int(found[5]) not in _DEPTHS or bool(found[2]) != (found[9] == "_2"):
        return None
    gate, _, grouped, kind, layers, letter, groups, width, end = found.groups()
    if bool(grouped) != bool(groups) or (kind == "rs" and letter):
        return None
    stem, average_down = _STEMS["d" if kind == "rs" else letter]
    depths = _DEPTHS[int(layers)]
    if name == "ecaresnext50t_32x4d":
        depths = _DEPTHS[26]
    if int(layers) == 201:
        stem = (64, 64, 128)
    network = ResNet(
        depths,
        int(layers) not in _BASIC,
        int(groups or 1),
        int(width or (128 if end == "_2" else 64)),
        stem,
        average_down,
        gate="se" if kind == "rs" else gate or "",
        squeeze=0.25 if kind == "rs" else 1 / 16,
        soft={"aa": "average", "blur": "blur"}.get(kind or "", ""),
        strided_stem=kind == "rs",
        norm_groups=32 if end == "_gn" else 0,
    )
    return Sized(network, 256 if layers in ("200", "269") else 224)


FAMILIES = (
    ImageFamily(
        name="resnet",
        title="residual network",
        source="He et al. 2016, Deep Residual Learning for Image Recognition; He et al. 2019, Bag of Tricks",
        examples=("resnet50d", "resnext101_32x8d", "seresnet50", "ecaresnet101d", "resnetaa50", "resnetrs200"),
        find=_find,
    ),
)
