"""VGG networks as timm builds them, all layers but the last convolutions: ``vgg<layers>[_bn|_conv]``.

``_conv`` tells those without norms from torchvision's, whose names ``vgg16`` and ``vgg19`` are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.vgg import Vgg

__all__ = ["FAMILIES"]

_DEPTHS: Mapping[str, tuple[int, int, int, int, int]] = MappingProxyType(
    {"11": (1, 1, 2, 2, 2), "13": (2, 2, 2, 2, 2), "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}
)


def _find(name: str) -> Sized | None:
    found = re.match(r"vgg(\d+)(_bn|_conv)?$", name)
    if found is None or found[1] not in _DEPTHS:
        return None
    return Sized(Vgg(_DEPTHS[found[1]], normalised=found[2] == "_bn", convolutional=True))


FAMILIES = (
    ImageFamily(
        name="vgg",
        title="plain convolutions",
        source="Simonyan and Zisserman 2015, Very Deep Convolutional Networks, Table 1",
        examples=("vgg11", "vgg13_bn", "vgg16_conv"),
        find=_find,
        minimum=224,
    ),
)
