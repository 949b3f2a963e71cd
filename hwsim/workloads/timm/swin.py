"""Swin transformers by the names of timm: ``swin[v2[_cr]]_<size>[_patch4]_window<side>_<pixels>``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.swin import Swin

__all__ = ["FAMILIES"]

_SIZES: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {
        # blocks of the third stage, width, heads of the first stage
        "tiny": (6, 96, 3),
        "small": (18, 96, 3),
        "base": (18, 128, 4),
        "large": (18, 192, 6),
        "huge": (18, 352, 8),
        "giant": (42, 512, 16),
    }
)
_NAME = re.compile(
    r"swin(?P<second>v2)?(?P<cr>_cr)?_(?P<size>tiny|small|base|large|huge|giant)(?P<ns>_ns)?"
    r"(?:_patch4)?(?:_window(?P<window>\d+)(?:to(?P<grown>\d+))?)?_(?P<pixels>\d+)(?:to(?P<larger>\d+))?$"
)


_SEARCHED: Mapping[str, tuple[int, tuple[int, int, int, int]]] = MappingProxyType(
    {"tiny": (6, (7, 7, 14, 7)), "small": (18, (14, 14, 14, 7)), "base": (30, (7, 7, 14, 7))}
)
"""Blocks of the third stage and windows (Chen et al. 2021, Searching the Search Space, Table 9)."""


def _find(name: str) -> Sized | None:
    searched = re.match(r"swin_s3_(tiny|small|base)_224$", name)
    if searched is not None:
        depth, sides = _SEARCHED[searched[1]]
        return Sized(Swin(depths=(2, 2, depth, 2), width=96, heads=(3, 6, 12, 24), window=sides))
    found = _NAME.match(name)
    if found is None or bool(found["cr"]) == bool(found["window"]) or (found["cr"] and not found["second"]):
        return None
    depth, width, heads = _SIZES[found["size"]]
    pixels = int(found["larger"] or found["pixels"])
    if name == "swinv2_cr_huge_384":
        heads = 11
    network = Swin(
        depths=(2, 2, depth, 2),
        width=width,
        heads=(heads, 2 * heads, 4 * heads, 8 * heads),
        window=int(found["grown"] or found["window"] or 0),
        second=bool(found["second"]),
        table=not found["cr"],
        meta=384 if found["cr"] else 512,
        period=6 if found["size"] in ("huge", "giant") else 0,
        stage_norm=bool(found["ns"]),
    )
    return Sized(network, pixels)


FAMILIES = (
    ImageFamily(
        name="swin",
        title="transformer in shifted windows",
        source="Liu et al. 2021, Swin Transformer; Liu et al. 2022, Swin Transformer V2",
        examples=("swin_base_patch4_window7_224", "swinv2_tiny_window8_256", "swinv2_cr_small_ns_224"),
        find=_find,
    ),
)
