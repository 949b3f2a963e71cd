"""ConvNeXts by the names of timm: ``convnext[v2]_<size>[_ols|_mlp|_hnf]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.workloads.convnext import ConvNeXt
from hwsim.workloads.families import ImageFamily, Sized

__all__ = ["FAMILIES"]

_SIZES: Mapping[str, tuple[tuple[int, int, int, int], int]] = MappingProxyType(
    {
        # blocks of each stage, channels of the first
        "atto": ((2, 2, 6, 2), 40),
        "femto": ((2, 2, 6, 2), 48),
        "pico": ((2, 2, 6, 2), 64),
        "nano": ((2, 2, 8, 2), 80),
        "tiny": ((3, 3, 9, 3), 96),
        "small": ((3, 3, 27, 3), 96),
        "base": ((3, 3, 27, 3), 128),
        "large": ((3, 3, 27, 3), 192),
        "xlarge": ((3, 3, 27, 3), 256),
        "xxlarge": ((3, 4, 30, 3), 384),
        "huge": ((3, 3, 27, 3), 352),
    }
)
_POINTWISE = ("atto", "femto", "pico", "nano")


def _find(name: str) -> Sized | None:
    found = re.match(r"convnext(v2)?_([a-z]+)(_ols|_mlp|_hnf)?$", name)
    if found is None or found[2] not in _SIZES:
        return None
    second, size, end = found.groups()
    depths, width = _SIZES[size]
    network = ConvNeXt(
        depths=depths,
        channels=(width, 2 * width, 4 * width, 8 * width),
        pointwise=size in _POINTWISE or end == "_hnf",
        responses=bool(second),
        stem="patch" if end != "_ols" else "overlap" if size == "nano" else "tiered",
        hidden=8 * width if end == "_mlp" else 0,
        norm_first=end == "_hnf",
    )
    return Sized(network)


FAMILIES = (
    ImageFamily(
        name="convnext",
        title="large depthwise convolutions",
        source="Liu et al. 2022, A ConvNet for the 2020s, Table 9; Woo et al. 2023, ConvNeXt V2",
        examples=("convnext_base", "convnext_atto_ols", "convnextv2_large"),
        find=_find,
    ),
)
