"""Networks of Nayman et al. 2021, HardCoRe-NAS: Hard Constrained diffeRentiable NAS, by the names of timm."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.mobile_blocks import InvertedResiduals

__all__ = ["FAMILIES"]

_Stages = tuple[str, ...]

_NETWORKS: Mapping[str, _Stages] = MappingProxyType(
    {
        "a": (
            "ds 1 k3 c16 relu",
            "ir 1 k5 s2 e3 c24 relu; ir 1 k5 e3 c24 relu se0.25",
            "ir 1 k5 s2 e3 c40 relu; ir 1 k5 e6 c40 relu se0.25",
            "ir 1 k5 s2 e6 c80 se0.25; ir 1 k5 e6 c80 se0.25",
            "ir 2 k5 e6 c112 se0.25",
            "ir 1 k5 s2 e6 c192 se0.25; ir 1 k5 e6 c192 se0.25",
            "cn 1 k1 c960",
        ),
        "b": (
            "ds 1 k3 c16 relu",
            "ir 1 k5 s2 e3 c24 relu; ir 1 k5 e3 c24 relu se0.25; ir 1 k3 e3 c24 relu",
            "ir 1 k5 s2 e3 c40 relu; ir 2 k5 e3 c40 relu",
            "ir 1 k5 s2 e3 c80; ir 1 k5 e3 c80; ir 2 k3 e3 c80",
            "ir 1 k5 e3 c112; ir 3 k3 e3 c112",
            "ir 1 k5 s2 e6 c192 se0.25; ir 1 k5 e6 c192 se0.25; ir 1 k3 e3 c192 se0.25",
            "cn 1 k1 c960",
        ),
        "c": (
            "ds 1 k3 c16 relu",
            "ir 1 k5 s2 e3 c24 relu; ir 1 k5 e3 c24 relu se0.25",
            "ir 1 k5 s2 e3 c40 relu; ir 3 k5 e3 c40 relu",
            "ir 1 k5 s2 e4 c80; ir 1 k5 e6 c80 se0.25; ir 2 k3 e3 c80",
            "ir 1 k5 e6 c112 se0.25; ir 3 k3 e3 c112",
            "ir 1 k5 s2 e6 c192 se0.25; ir 1 k5 e6 c192 se0.25; ir 1 k3 e3 c192 se0.25",
            "cn 1 k1 c960",
        ),
        "d": (
            "ds 1 k3 c16 relu",
            "ir 1 k5 s2 e3 c24 relu se0.25; ir 1 k5 e3 c24 relu se0.25",
            "ir 1 k5 s2 e3 c40 relu se0.25; ir 1 k5 e4 c40 relu se0.25; ir 1 k3 e3 c40 relu se0.25",
            "ir 1 k5 s2 e4 c80 se0.25; ir 3 k3 e3 c80 se0.25",
            "ir 1 k3 e4 c112 se0.25; ir 1 k5 e4 c112 se0.25; ir 1 k3 e3 c112 se0.25; ir 1 k5 e3 c112 se0.25",
            "ir 1 k5 s2 e6 c192 se0.25; ir 2 k5 e6 c192 se0.25; ir 1 k3 e6 c192 se0.25",
            "cn 1 k1 c960",
        ),
        "e": (
            "ds 1 k3 c16 relu",
            "ir 1 k5 s2 e3 c24 relu se0.25; ir 1 k5 e3 c24 relu se0.25",
            "ir 1 k5 s2 e6 c40 relu se0.25; ir 2 k5 e4 c40 relu se0.25; ir 1 k3 e3 c40 relu se0.25",
            "ir 1 k5 s2 e4 c80 se0.25; ir 1 k3 e6 c80 se0.25",
            "ir 3 k5 e6 c112 se0.25; ir 1 k5 e3 c112 se0.25",
            "ir 1 k5 s2 e6 c192 se0.25; ir 2 k5 e6 c192 se0.25; ir 1 k3 e6 c192 se0.25",
            "cn 1 k1 c960",
        ),
        "f": (
            "ds 1 k3 c16 relu",
            "ir 1 k5 s2 e3 c24 relu se0.25; ir 1 k5 e3 c24 relu se0.25",
            "ir 1 k5 s2 e6 c40 relu se0.25; ir 1 k5 e6 c40 relu se0.25",
            "ir 1 k5 s2 e6 c80 se0.25; ir 1 k5 e6 c80 se0.25; ir 2 k3 e3 c80 se0.25",
            "ir 1 k3 e6 c112 se0.25; ir 2 k5 e6 c112 se0.25; ir 1 k3 e3 c112 se0.25",
            "ir 1 k5 s2 e6 c192 se0.25; ir 1 k5 e6 c192 se0.25; ir 2 k3 e6 c192 se0.25",
            "cn 1 k1 c960",
        ),
    }
)
"""Stages in the notation of :mod:`hwsim.workloads.timm.mobile_blocks`."""


def _find(name: str) -> Sized | None:
    stages = _NETWORKS.get(name.removeprefix("hardcorenas_")) if name.startswith("hardcorenas_") else None
    if stages is None:
        return None
    squeeze = ("relu", "hardsigmoid", True, True)
    return Sized(InvertedResiduals(stages=stages, act="hardswish", head="pooled", squeeze=squeeze))


FAMILIES = (
    ImageFamily(
        name="hardcorenas",
        title="inverted residuals found for a latency",
        source="Nayman et al. 2021, HardCoRe-NAS: Hard Constrained diffeRentiable Neural Architecture Search",
        examples=("hardcorenas_f", "hardcorenas_a"),
        find=_find,
    ),
)
