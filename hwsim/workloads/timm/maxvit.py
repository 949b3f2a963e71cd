"""MaxViTs and CoAtNets by the names of timm: ``[maxvit|maxxvit|coatnet]_<size>_<kind>_<pixels>``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.maxvit_blocks import MaxViT

__all__ = ["FAMILIES"]

_Row = tuple[tuple[int, int, int, int], int, int, int]
"""Blocks of each stage, width of the first, channels of the stem."""
_MAX: Mapping[str, _Row] = MappingProxyType(
    {
        "pico": ((2, 2, 5, 2), 32, 24, 32),
        "nano": ((1, 2, 3, 1), 64, 32, 64),
        "tiny": ((2, 2, 5, 2), 64, 32, 64),
        "small": ((2, 2, 5, 2), 96, 32, 64),
        "base": ((2, 6, 14, 2), 96, 32, 64),
        "tiny_tf": ((2, 2, 5, 2), 64, 64, 64),
        "small_tf": ((2, 2, 5, 2), 96, 64, 64),
        "base_tf": ((2, 6, 14, 2), 96, 64, 64),
        "large_tf": ((2, 6, 14, 2), 128, 128, 128),
        "xlarge_tf": ((2, 6, 14, 2), 192, 192, 192),
        "next_nano": ((1, 2, 3, 1), 64, 32, 64),
        "next_tiny": ((2, 2, 5, 2), 64, 32, 64),
        "next_small": ((2, 2, 5, 2), 96, 48, 96),
        "next2_nano": ((1, 2, 3, 1), 96, 48, 96),
        "next2_base": ((2, 6, 12, 2), 128, 64, 128),
        "next2_large": ((2, 6, 16, 2), 160, 80, 160),
    }
)
_COAT: Mapping[str, _Row] = MappingProxyType(
    {
        "pico": ((2, 3, 5, 2), 64, 32, 64),
        "nano": ((3, 4, 6, 3), 64, 32, 64),
        "0_rw": ((2, 3, 7, 2), 96, 32, 64),
        "1_rw": ((2, 6, 14, 2), 96, 32, 64),
        "2_rw": ((2, 6, 14, 2), 128, 64, 128),
        "3_rw": ((2, 6, 14, 2), 192, 96, 192),
        "0": ((2, 3, 5, 2), 96, 64, 64),
        "1": ((2, 6, 14, 2), 96, 64, 64),
        "2": ((2, 6, 14, 2), 128, 128, 128),
        "3": ((2, 6, 14, 2), 192, 192, 192),
        "4": ((2, 12, 28, 2), 192, 192, 192),
        "5": ((2, 12, 28, 2), 256, 192, 192),
    }
)
_RW: Mapping[str, Any] = MappingProxyType({"pooled": True, "first_act": True, "biased": False, "gate_act": "relu"})
_RW_EARLY: Mapping[str, Any] = MappingProxyType({**_RW, "early": True, "attended_bias": False})
_RW_DEEP: Mapping[str, Any] = MappingProxyType({**_RW, "pooled": False, "gate_act": "silu"})
_SCALED: Mapping[str, Any] = MappingProxyType({"scaled": (False, True)})
_COAT_KINDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "pico_rw": {},
        "nano_rw": {"pooled": True},
        "0_rw": _RW_EARLY,
        "1_rw": {**_RW_EARLY, "pooled": False},
        "2_rw": _RW_DEEP,
        "3_rw": {**_RW_DEEP, **_SCALED},
        "bn_0_rw": {**_RW_EARLY, "pooled": False, "plain_norm": True},
        "rmlp_nano_rw": {"meta": 384},
        "rmlp_0_rw": {**_RW, "pooled": False, "meta": 512},
        "rmlp_1_rw": {**_RW_EARLY, "max_pool": True, "meta": 384},
        "rmlp_1_rw2": {**_RW, "pooled": False, "meta": 512},
        "rmlp_2_rw": {**_RW_DEEP, **_SCALED, "meta": 512},
        "rmlp_3_rw": {**_RW_DEEP, **_SCALED, "meta": 512},
        "nano_cc": {**_RW, "blocks": ("C", "C", "CT", "CT")},
    }
)
"""How timm's own recipes differ from each other."""


def _network(row: _Row, **changes: Any) -> MaxViT:
    depths, width, first, second = row
    widths = (width, 2 * width, 4 * width, 8 * width)
    return MaxViT(**{"depths": depths, "widths": widths, "stem": (first, second), **changes})


def _tensorflow(size: str) -> MaxViT:
    """As published, with TensorFlow's padding and activation."""
    row = _MAX[f"{size}_tf"]
    acts = {"act": "gelu_tanh", "inner_act": "gelu_tanh"}
    return _network(row, stem_bias=True, outer=True, same=True, hidden=8 * row[1], **acts)


def _find(name: str) -> Sized | None:
    found = re.match(r"max(x?)vit(v2)?_(rmlp_)?([a-z]+)_(rw|tf)_(\d{3})$", name)
    if found is None:
        return None
    mixed, second, meta, size, kind, pixels = found.groups()
    if kind == "tf":
        if f"{size}_tf" not in _MAX or mixed or meta:
            return None
        return Sized(_tensorflow(size), int(pixels), 21_843 if name == "maxvit_xlarge_tf_224" else 1000)
    key = f"next{'2' if second else ''}_{size}" if mixed else size
    if key not in _MAX or (second and not mixed):
        return None
    row, width = _MAX[key], 512 if meta else 0
    if mixed:
        network = _network(
            row,
            next=True,
            act="gelu",
            meta=width,
            scaled=(True, True),
            grid_only=bool(second),
            hidden=1280 if size == "large" else 0,
        )
    else:
        scaled = (False, bool(meta) and size == "small")
        hidden = 768 if size == "base" else 0
        network = _network(row, squeeze=1 / 16, biased=False, meta=width, scaled=scaled, hidden=hidden)
    return Sized(network, int(pixels))


_ATTENDED = ("C", "C", "T", "T")


def _find_coat(name: str) -> Sized | None:
    found = re.match(r"coat(ne)xt_nano_rw_(\d{3})$|coatnet_(?:(\d)|([a-z0-9_]+))_(\d{3})$", name)
    if found is None:
        return None
    mixed, first, size, kind, pixels = found.groups()
    if mixed:
        plain = _network(_COAT["nano"], blocks=_ATTENDED, next=True, act="gelu", scaled=(True, False))
        return Sized(plain, int(first))
    if size:
        row = _COAT.get(size)
        if row is None:
            return None
        widths = (256, 512, 1280, 2048) if size == "5" else tuple(row[1] << place for place in range(4))
        published = _network(row, blocks=_ATTENDED, outer=True, act="gelu", hidden=widths[3], widths=widths)
        return Sized(published, int(pixels))
    if kind not in _COAT_KINDS:
        return None
    digit = re.search(r"\d(?=_rw)", kind)
    row = _COAT[f"{digit[0]}_rw" if digit else "pico" if "pico" in kind else "nano"]
    return Sized(_network(row, **{"blocks": _ATTENDED, **_COAT_KINDS[kind]}), int(pixels))


FAMILIES = (
    ImageFamily(
        name="maxvit",
        title="attention in windows and grids",
        source="Tu et al. 2022, MaxViT: Multi-Axis Vision Transformer",
        examples=("maxvit_tiny_tf_224", "maxvit_rmlp_small_rw_256", "maxxvitv2_nano_rw_256"),
        find=_find,
    ),
    ImageFamily(
        name="coatnet",
        title="convolution, then attention",
        source="Dai et al. 2021, CoAtNet: Marrying Convolution and Attention for All Data Sizes",
        examples=("coatnet_0_224", "coatnet_rmlp_2_rw_384", "coatnext_nano_rw_224"),
        find=_find_coat,
    ),
)
