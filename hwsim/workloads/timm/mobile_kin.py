"""Further networks of inverted residuals by the names of timm: searched ones, mixtures of experts, timm's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.mobile_blocks import InvertedResiduals
from hwsim.workloads.timm.mobile_tables import EFFICIENTNET, EFFICIENTNET_EDGE, EFFICIENTNET_V2

__all__ = ["FAMILIES"]

_FBNET_C = InvertedResiduals(
    stages=(
        "ir 1 k3 e1 c16",
        "ir 1 k3 s2 e6 c24; ir 2 k3 e1 c24",
        "ir 1 k5 s2 e6 c32; ir 1 k5 e3 c32; ir 1 k5 e6 c32; ir 1 k3 e6 c32",
        "ir 1 k5 s2 e6 c64; ir 1 k5 e3 c64; ir 2 k5 e6 c64",
        "ir 3 k5 e6 c112; ir 1 k5 e3 c112",
        "ir 4 k5 s2 e6 c184",
        "ir 1 k3 e6 c352",
    ),
    stem=16,
    features=1984,
)
_SINGLE_PATH = InvertedResiduals(
    stages=(
        "ds 1 k3 c16 noskip",
        "ir 3 k3 s2 e3 c24",
        "ir 1 k5 s2 e6 c40; ir 3 k3 e3 c40",
        "ir 1 k5 s2 e6 c80; ir 3 k3 e3 c80",
        "ir 1 k5 e6 c96; ir 3 k5 e3 c96",
        "ir 4 k5 s2 e6 c192",
        "ir 1 k3 e6 c320 noskip",
    ),
)


def _experts(count: int, depth: float) -> InvertedResiduals:
    """The last three stages are mixtures (Yang et al. 2019, CondConv, section 4.1)."""
    mixed = tuple(f"cc{stage[2:]} x{count}" for stage in EFFICIENTNET[4:])
    return InvertedResiduals(stages=(*EFFICIENTNET[:4], *mixed), depths=(depth,), act="silu")


_CONTEXT = InvertedResiduals(
    stages=EFFICIENTNET_V2["s"],
    width=0.8,
    depths=(0.9,),
    stem=24,
    act="silu",
    squeeze=("", "context", False, False),
)
_TEST = InvertedResiduals(
    stages=(
        "cn 1 k3 e1 c16 skip",
        "er 1 k3 s2 e4 c24",
        "er 1 k3 s2 e4 c32",
        "ir 1 k3 s2 e4 c48 se0.25",
        "ir 1 k3 s2 e4 c64 se0.25",
    ),
    stem=24,
    features=256,
    act="silu",
    limit=0.0,
)
_GROUPED = InvertedResiduals(stages=EFFICIENTNET, act="silu", divisor=16, group_size=16)
_EDGE = InvertedResiduals(stages=EFFICIENTNET_EDGE)
_LARGE = replace(_EDGE, width=1.2, depths=(1.4,))
_NETWORKS: Mapping[str, tuple[InvertedResiduals, int]] = MappingProxyType(
    {
        "fbnetc_100": (_FBNET_C, 224),
        "spnasnet_100": (_SINGLE_PATH, 224),
        "efficientnet_cc_b0_4e": (_experts(4, 1.0), 224),
        "efficientnet_cc_b0_8e": (_experts(8, 1.0), 224),
        "efficientnet_cc_b1_8e": (_experts(8, 1.1), 240),
        "gc_efficientnetv2_rw_t": (replace(_CONTEXT, features=_CONTEXT.rounded_channels(1280)), 224),
        "efficientnet_b0_g16_evos": (replace(_GROUPED, features=_GROUPED.rounded_channels(1280)), 224),
        "efficientnet_es_pruned": (replace(_EDGE, features=1280), 224),
        "efficientnet_el_pruned": (replace(_LARGE, features=_LARGE.rounded_channels(1280)), 300),
        "test_efficientnet": (_TEST, 160),
    }
)
"""The pruned ones of their names have zeros among their weights, and the shapes of those not pruned."""


def _find(name: str) -> Sized | None:
    same = re.match(r"tf_(efficientnet_cc_\w+)$", name)
    found = _NETWORKS.get(same[1] if same else name)
    if found is None:
        return None
    network, pixels = found
    return Sized(replace(network, same=True) if same else network, pixels)


FAMILIES = (
    ImageFamily(
        name="further inverted residuals",
        title="inverted residuals",
        source="Wu et al. 2019, FBNet; Stamoulis et al. 2019, Single-Path NAS; Yang et al. 2019, CondConv",
        examples=tuple(_NETWORKS),
        find=_find,
    ),
)
