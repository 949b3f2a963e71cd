"""Stages of networks of inverted residuals, in the notation of :mod:`hwsim.workloads.timm.mobile_blocks`.

Facts of the papers that :mod:`hwsim.workloads.timm.mobile` cites, as timm builds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = [
    "EDGE_TPU_V1",
    "EFFICIENTNET",
    "EFFICIENTNET_EDGE",
    "EFFICIENTNET_V2",
    "FBNET_V3",
    "LCNET",
    "MIXNET",
    "MNASNET",
    "MOBILENET_V1",
    "MOBILENET_V2",
    "MOBILENET_V3",
    "MOBILENET_V4",
    "edge_tpu_stages",
]

_Stages = tuple[str, ...]

EFFICIENTNET: _Stages = (
    "ds 1 k3 c16 se0.25",
    "ir 2 k3 s2 e6 c24 se0.25",
    "ir 2 k5 s2 e6 c40 se0.25",
    "ir 3 k3 s2 e6 c80 se0.25",
    "ir 3 k5 e6 c112 se0.25",
    "ir 4 k5 s2 e6 c192 se0.25",
    "ir 1 k3 e6 c320 se0.25",
)
EFFICIENTNET_EDGE: _Stages = (
    "er 1 k3 e4 c24 fc24 noskip",
    "er 2 k3 s2 e8 c32",
    "er 4 k3 s2 e8 c48",
    "ir 5 k5 s2 e8 c96",
    "ir 4 k5 e8 c144",
    "ir 2 k5 s2 e8 c192",
)
MOBILENET_V1: _Stages = (
    "dsa 1 k3 c64",
    "dsa 2 k3 s2 c128",
    "dsa 2 k3 s2 c256",
    "dsa 6 k3 s2 c512",
    "dsa 2 k3 s2 c1024",
)
MOBILENET_V2: _Stages = (
    "ds 1 k3 c16",
    "ir 2 k3 s2 e6 c24",
    "ir 3 k3 s2 e6 c32",
    "ir 4 k3 s2 e6 c64",
    "ir 3 k3 e6 c96",
    "ir 3 k3 s2 e6 c160",
    "ir 1 k3 e6 c320",
)
LCNET: _Stages = (
    "dsa 1 k3 c32",
    "dsa 2 k3 s2 c64",
    "dsa 2 k3 s2 c128",
    "dsa 1 k3 s2 c256; dsa 1 k5 c256",
    "dsa 4 k5 c256",
    "dsa 2 k5 s2 c512 se0.25",
)
EFFICIENTNET_V2: Mapping[str, _Stages] = MappingProxyType(
    {
        "b": (
            "cn 1 k3 c16 skip",
            "er 2 k3 s2 e4 c32",
            "er 2 k3 s2 e4 c48",
            "ir 3 k3 s2 e4 c96 se0.25",
            "ir 5 k3 e6 c112 se0.25",
            "ir 8 k3 s2 e6 c192 se0.25",
        ),
        "s": (
            "cn 2 k3 c24 skip",
            "er 4 k3 s2 e4 c48",
            "er 4 k3 s2 e4 c64",
            "ir 6 k3 s2 e4 c128 se0.25",
            "ir 9 k3 e6 c160 se0.25",
            "ir 15 k3 s2 e6 c256 se0.25",
        ),
        "m": (
            "cn 3 k3 c24 skip",
            "er 5 k3 s2 e4 c48",
            "er 5 k3 s2 e4 c80",
            "ir 7 k3 s2 e4 c160 se0.25",
            "ir 14 k3 e6 c176 se0.25",
            "ir 18 k3 s2 e6 c304 se0.25",
            "ir 5 k3 e6 c512 se0.25",
        ),
        "l": (
            "cn 4 k3 c32 skip",
            "er 7 k3 s2 e4 c64",
            "er 7 k3 s2 e4 c96",
            "ir 10 k3 s2 e4 c192 se0.25",
            "ir 19 k3 e6 c224 se0.25",
            "ir 25 k3 s2 e6 c384 se0.25",
            "ir 7 k3 e6 c640 se0.25",
        ),
        "xl": (
            "cn 4 k3 c32 skip",
            "er 8 k3 s2 e4 c64",
            "er 8 k3 s2 e4 c96",
            "ir 16 k3 s2 e4 c192 se0.25",
            "ir 24 k3 e6 c256 se0.25",
            "ir 32 k3 s2 e6 c512 se0.25",
            "ir 8 k3 e6 c640 se0.25",
        ),
        "rw": (
            "er 2 k3 c24",
            "er 4 k3 s2 e4 c48",
            "er 4 k3 s2 e4 c64",
            "ir 6 k3 s2 e4 c128 se0.25",
            "ir 9 k3 e6 c160 se0.25",
            "ir 15 k3 s2 e6 c272 se0.25",
        ),
    }
)
MNASNET: Mapping[str, _Stages] = MappingProxyType(
    {
        "a1": (
            "ds 1 k3 c16 noskip",
            "ir 2 k3 s2 e6 c24",
            "ir 3 k5 s2 e3 c40 se0.25",
            "ir 4 k3 s2 e6 c80",
            "ir 2 k3 e6 c112 se0.25",
            "ir 3 k5 s2 e6 c160 se0.25",
            "ir 1 k3 e6 c320",
        ),
        "b1": (
            "ds 1 k3 c16 noskip",
            "ir 3 k3 s2 e3 c24",
            "ir 3 k5 s2 e3 c40",
            "ir 3 k5 s2 e6 c80",
            "ir 2 k3 e6 c96",
            "ir 4 k5 s2 e6 c192",
            "ir 1 k3 e6 c320 noskip",
        ),
        "small": (
            "ds 1 k3 c8",
            "ir 1 k3 s2 e3 c16",
            "ir 2 k3 s2 e6 c16",
            "ir 4 k5 s2 e6 c32 se0.25",
            "ir 3 k3 e6 c32 se0.25",
            "ir 3 k5 s2 e6 c88 se0.25",
            "ir 1 k3 e6 c144",
        ),
    }
)
MIXNET: Mapping[str, _Stages] = MappingProxyType(
    {
        "s": (
            "ds 1 k3 c16",
            "ir 1 k3 s2 e6 c24 p2.2; ir 1 k3 e3 c24 p2.2",
            "ir 1 k3.5.7 s2 e6 c40 se0.5 silu; ir 3 k3.5 e6 c40 se0.5 silu p2.2",
            "ir 1 k3.5.7 s2 e6 c80 se0.25 silu p1.2; ir 2 k3.5 e6 c80 se0.25 silu p1.2",
            "ir 1 k3.5.7 e6 c120 se0.5 silu p2.2; ir 2 k3.5.7.9 e3 c120 se0.5 silu p2.2",
            "ir 1 k3.5.7.9.11 s2 e6 c200 se0.5 silu; ir 2 k3.5.7.9 e6 c200 se0.5 silu p1.2",
        ),
        "m": (
            "ds 1 k3 c24",
            "ir 1 k3.5.7 s2 e6 c32 p2.2; ir 1 k3 e3 c32 p2.2",
            "ir 1 k3.5.7.9 s2 e6 c40 se0.5 silu; ir 3 k3.5 e6 c40 se0.5 silu p2.2",
            "ir 1 k3.5.7 s2 e6 c80 se0.25 silu; ir 3 k3.5.7.9 e6 c80 se0.25 silu p2.2",
            "ir 1 k3 e6 c120 se0.5 silu; ir 3 k3.5.7.9 e3 c120 se0.5 silu p2.2",
            "ir 1 k3.5.7.9 s2 e6 c200 se0.5 silu; ir 3 k3.5.7.9 e6 c200 se0.5 silu p1.2",
        ),
    }
)
MOBILENET_V3: Mapping[str, _Stages] = MappingProxyType(
    {
        "rw": (
            "ds 1 k3 c16 relu noskip",
            "ir 1 k3 s2 e4 c24 relu; ir 1 k3 e3 c24 relu",
            "ir 3 k5 s2 e3 c40 se0.25 relu",
            "ir 1 k3 s2 e6 c80; ir 1 k3 e2.5 c80; ir 2 k3 e2.3 c80",
            "ir 2 k3 e6 c112 se0.25",
            "ir 3 k5 s2 e6 c160 se0.25",
            "cn 1 k1 c960",
        ),
        "small_minimal": (
            "ds 1 k3 s2 c16",
            "ir 1 k3 s2 e4.5 c24; ir 1 k3 e3.67 c24",
            "ir 1 k3 s2 e4 c40; ir 2 k3 e6 c40",
            "ir 2 k3 e3 c48",
            "ir 3 k3 s2 e6 c96",
            "cn 1 k1 c576",
        ),
        "small": (
            "ds 1 k3 s2 c16 se0.25 relu",
            "ir 1 k3 s2 e4.5 c24 relu; ir 1 k3 e3.67 c24 relu",
            "ir 1 k5 s2 e4 c40 se0.25; ir 2 k5 e6 c40 se0.25",
            "ir 2 k5 e3 c48 se0.25",
            "ir 3 k5 s2 e6 c96 se0.25",
            "cn 1 k1 c576",
        ),
        "large_minimal": (
            "ds 1 k3 c16",
            "ir 1 k3 s2 e4 c24; ir 1 k3 e3 c24",
            "ir 3 k3 s2 e3 c40",
            "ir 1 k3 s2 e6 c80; ir 1 k3 e2.5 c80; ir 2 k3 e2.3 c80",
            "ir 2 k3 e6 c112",
            "ir 3 k3 s2 e6 c160",
            "cn 1 k1 c960",
        ),
        "large": (
            "ds 1 k3 c16 relu",
            "ir 1 k3 s2 e4 c24 relu; ir 1 k3 e3 c24 relu",
            "ir 3 k5 s2 e3 c40 se0.25 relu",
            "ir 1 k3 s2 e6 c80; ir 1 k3 e2.5 c80; ir 2 k3 e2.3 c80",
            "ir 2 k3 e6 c112 se0.25",
            "ir 3 k5 s2 e6 c160 se0.25",
            "cn 1 k1 c960",
        ),
    }
)
FBNET_V3: Mapping[str, _Stages] = MappingProxyType(
    {
        "b": (
            "ds 2 k3 c16",
            "ir 1 k5 s2 e4 c24; ir 3 k5 e2 c24",
            "ir 1 k5 s2 e5 c40 se0.25; ir 4 k5 e3 c40 se0.25",
            "ir 1 k5 s2 e5 c72; ir 4 k3 e3 c72",
            "ir 1 k3 e5 c120 se0.25; ir 5 k5 e3 c120 se0.25",
            "ir 1 k3 s2 e6 c184 se0.25; ir 5 k5 e4 c184 se0.25; ir 1 k5 e6 c224 se0.25",
            "cn 1 k1 c1344",
        ),
        "d": (
            "ds 2 k3 c16",
            "ir 1 k3 s2 e5 c24; ir 5 k3 e2 c24",
            "ir 1 k5 s2 e4 c40 se0.25; ir 4 k3 e3 c40 se0.25",
            "ir 1 k3 s2 e5 c72; ir 4 k3 e3 c72",
            "ir 1 k3 e5 c128 se0.25; ir 6 k5 e3 c128 se0.25",
            "ir 1 k3 s2 e6 c208 se0.25; ir 5 k5 e5 c208 se0.25; ir 1 k5 e6 c240 se0.25",
            "cn 1 k1 c1440",
        ),
        "g": (
            "ds 3 k3 c24",
            "ir 1 k5 s2 e4 c40; ir 4 k5 e2 c40",
            "ir 1 k5 s2 e4 c56 se0.25; ir 4 k5 e3 c56 se0.25",
            "ir 1 k5 s2 e5 c104; ir 4 k3 e3 c104",
            "ir 1 k3 e5 c160 se0.25; ir 8 k5 e3 c160 se0.25",
            "ir 1 k3 s2 e6 c264 se0.25; ir 6 k5 e5 c264 se0.25; ir 2 k5 e6 c288 se0.25",
            "cn 1 k1 c1728",
        ),
    }
)
MOBILENET_V4: Mapping[str, _Stages] = MappingProxyType(
    {
        "hybrid_medium": (
            "er 1 k3 s2 e4 c48",
            "uir 1 a3 k5 s2 e4 c80; uir 1 a3 k3 e2 c80",
            (
                "uir 1 a3 k5 s2 e6 c160; uir 1 a0 k0 e2 c160; uir 1 a3 k3 e4 c160; uir 1 a3 k5 e4 c160; "
                "mqa 1 k3 h4 v2 d64 c160; uir 1 a3 k3 e4 c160; mqa 1 k3 h4 v2 d64 c160; uir 1 a3 k0 e4 c160; "
                "mqa 1 k3 h4 v2 d64 c160; uir 1 a3 k3 e4 c160; mqa 1 k3 h4 v2 d64 c160; uir 1 a3 k0 e4 c160"
            ),
            (
                "uir 1 a5 k5 s2 e6 c256; uir 1 a5 k5 e4 c256; uir 2 a3 k5 e4 c256; uir 1 a0 k0 e2 c256; "
                "uir 1 a3 k5 e2 c256; uir 1 a0 k0 e2 c256; uir 1 a0 k0 e4 c256; mqa 1 k3 h4 d64 c256; "
                "uir 1 a3 k0 e4 c256; mqa 1 k3 h4 d64 c256; uir 1 a5 k5 e4 c256; mqa 1 k3 h4 d64 c256; "
                "uir 1 a5 k0 e4 c256; mqa 1 k3 h4 d64 c256; uir 1 a5 k0 e4 c256"
            ),
            "cn 1 k1 c960",
        ),
        "hybrid_large": (
            "er 1 k3 s2 e4 c48",
            "uir 1 a3 k5 s2 e4 c96; uir 1 a3 k3 e4 c96",
            (
                "uir 1 a3 k5 s2 e4 c192; uir 3 a3 k3 e4 c192; uir 1 a3 k5 e4 c192; uir 2 a5 k3 e4 c192; "
                "mqa 1 k3 h8 v2 d48 c192; uir 1 a5 k3 e4 c192; mqa 1 k3 h8 v2 d48 c192; uir 1 a5 k3 e4 c192; "
                "mqa 1 k3 h8 v2 d48 c192; uir 1 a5 k3 e4 c192; mqa 1 k3 h8 v2 d48 c192; uir 1 a3 k0 e4 c192"
            ),
            (
                "uir 4 a5 k5 s2 e4 c512; uir 1 a5 k0 e4 c512; uir 1 a5 k3 e4 c512; uir 2 a5 k0 e4 c512; "
                "uir 1 a5 k3 e4 c512; uir 1 a5 k5 e4 c512; mqa 1 k3 h8 d64 c512; uir 1 a5 k0 e4 c512; "
                "mqa 1 k3 h8 d64 c512; uir 1 a5 k0 e4 c512; mqa 1 k3 h8 d64 c512; uir 1 a5 k0 e4 c512; "
                "mqa 1 k3 h8 d64 c512; uir 1 a5 k0 e4 c512"
            ),
            "cn 1 k1 c960",
        ),
        "conv_small": (
            "cn 1 k3 s2 c32; cn 1 k1 c32",
            "cn 1 k3 s2 c96; cn 1 k1 c64",
            "uir 1 a5 k5 s2 e3 c96; uir 4 a0 k3 e2 c96; uir 1 a3 k0 e4 c96",
            (
                "uir 1 a3 k3 s2 e6 c128; uir 1 a5 k5 e4 c128; uir 1 a0 k5 e4 c128; uir 1 a0 k5 e3 c128; "
                "uir 2 a0 k3 e4 c128"
            ),
            "cn 1 k1 c960",
        ),
        "conv_medium": (
            "er 1 k3 s2 e4 c48",
            "uir 1 a3 k5 s2 e4 c80; uir 1 a3 k3 e2 c80",
            (
                "uir 1 a3 k5 s2 e6 c160; uir 2 a3 k3 e4 c160; uir 1 a3 k5 e4 c160; uir 1 a3 k3 e4 c160; "
                "uir 1 a3 k0 e4 c160; uir 1 a0 k0 e2 c160; uir 1 a3 k0 e4 c160"
            ),
            (
                "uir 1 a5 k5 s2 e6 c256; uir 1 a5 k5 e4 c256; uir 2 a3 k5 e4 c256; uir 1 a0 k0 e4 c256; "
                "uir 1 a3 k0 e4 c256; uir 1 a3 k5 e2 c256; uir 1 a5 k5 e4 c256; uir 2 a0 k0 e4 c256; "
                "uir 1 a5 k0 e2 c256"
            ),
            "cn 1 k1 c960",
        ),
        "conv_large": (
            "er 1 k3 s2 e4 c48",
            "uir 1 a3 k5 s2 e4 c96; uir 1 a3 k3 e4 c96",
            (
                "uir 1 a3 k5 s2 e4 c192; uir 3 a3 k3 e4 c192; uir 1 a3 k5 e4 c192; uir 5 a5 k3 e4 c192; "
                "uir 1 a3 k0 e4 c192"
            ),
            (
                "uir 4 a5 k5 s2 e4 c512; uir 1 a5 k0 e4 c512; uir 1 a5 k3 e4 c512; uir 2 a5 k0 e4 c512; "
                "uir 1 a5 k3 e4 c512; uir 1 a5 k5 e4 c512; uir 3 a5 k0 e4 c512"
            ),
            "cn 1 k1 c960",
        ),
    }
)
EDGE_TPU_V1: _Stages = (
    "cn 1 k1 c16",
    "er 1 k3 s2 e8 c32; er 3 k3 e4 c32",
    "er 1 k3 s2 e8 c48; er 3 k3 e4 c48",
    "ir 1 k3 s2 e8 c96; ir 3 k3 e4 c96",
    "ir 1 k3 e8 c96 noskip; ir 3 k3 e4 c96",
    "ir 1 k5 s2 e8 c160; ir 3 k5 e4 c160",
    "ir 1 k3 e8 c192",
)
_EDGE_TPU_CHANNELS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "xs": (16, 32, 48, 96, 144, 160, 192),
        "s": (24, 48, 64, 128, 160, 192, 256),
        "m": (32, 64, 80, 160, 192, 240, 320),
        "l": (32, 64, 96, 192, 240, 256, 384),
    }
)


def edge_tpu_stages(size: str) -> _Stages:
    """Stages of MobileNet-EdgeTPU v2 of that size (xs, s, m or l)."""
    first, second, third, fourth, fifth, sixth, last = _EDGE_TPU_CHANNELS[size]
    group = 128 if size == "l" else 64
    return (
        f"cn 1 k1 c{first}",
        f"er 1 k3 s2 e8 c{second}; er 1 k3 e4 gs{group} c{second}",
        f"er 1 k3 s2 e8 c{third}; er 1 k3 e4 gs{group} c{third}; er 1 k3 e4 c{third}; er 1 k3 e4 gs{group} c{third}",
        f"er 1 k3 s2 e8 c{fourth}; ir 3 k3 e4 c{fourth}",
        f"ir 1 k3 e8 c{fifth}; ir 3 k3 e4 c{fifth}",
        f"ir 1 k3 s2 e8 c{sixth}; ir 3 k3 e4 c{sixth}",
        f"ir 1 k3 e8 c{last}",
    )
