"""ResNets, RegNetZ, GENet, RepVGG and CLIP's ResNets of timm's own recipes, by its names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.own_blocks import OwnBlocks

__all__ = ["FAMILIES"]


def _residual(depths: tuple[int, ...], widths: tuple[int, ...], group: str = "", first: int = 1) -> tuple[str, ...]:
    """Bottlenecks of a quarter of the width; the first stage has the stride ``first``."""
    return tuple(
        f"bottle {depth} c{width} s{2 if place else first}{group} r0.25"
        for place, (depth, width) in enumerate(zip(depths, widths, strict=True))
    )


def _expanded(depths: tuple[int, ...], widths: tuple[int, ...], group: int, ratio: int, first: int) -> tuple[str, ...]:
    """Bottlenecks wider inside than outside."""
    return tuple(
        f"bottle {depth} c{width} s{2 if place else first} g{group} r{ratio}"
        for place, (depth, width) in enumerate(zip(depths, widths, strict=True))
    )


_WIDE = (256, 512, 1024, 2048)
_TIERED = (24, 32, 64)
_26 = OwnBlocks(stages=_residual((2, 2, 2, 2), _WIDE, " g32"), stem=_TIERED, pool="max", act="silu")
_32 = OwnBlocks(stages=_residual((2, 3, 3, 2), (256, 512, 1536, 1536)), stem=_TIERED, act="silu")
_33 = replace(_32, features=1280)
_CLIP = OwnBlocks(
    stages=_residual((3, 4, 6, 3), _WIDE), stem=(32, 32, 64), pool="average", shortcut="average", soft=True
)
_Z = OwnBlocks(
    stages=_expanded((2, 6, 12, 2), (48, 96, 192, 288), 16, 3, 2),
    shortcut="",
    act="silu",
    gate="se",
    squeeze=0.25,
    features=1536,
    inward=True,
    bare=True,
)
_Z_C = replace(_Z, stages=_expanded((2, 6, 12, 2), (48, 96, 192, 288), 16, 4, 2))
_Z_D = replace(_Z, stages=_expanded((3, 6, 12, 3), (64, 128, 256, 384), 8, 4, 1), stem=_TIERED, features=1792)
_QUAD = ("bottle 4 c512 s2 g32 r0.25", "bottle 6 c1536 s2 g32 r0.25", "bottle 4 c1536 s2 g1 r1")
_Q = OwnBlocks(
    stages=("bottle 2 c256 g32 r0.25", *_QUAD), stem=(16, 32, 64, 128), stem_acts=2, features=2048, act="silu"
)


def _genet(*stages: str, stem: int, features: int) -> OwnBlocks:
    return OwnBlocks(stages=stages, stem=(stem,), features=features)


_NETWORKS: Mapping[str, tuple[OwnBlocks, int]] = MappingProxyType(
    {
        "gernet_s": (
            _genet(
                "basic 1 c48 s2",
                "basic 3 c48 s2",
                "bottle 7 c384 s2 r0.25",
                "bottle 2 c560 s2 g1 r3",
                "bottle 1 c256 g1 r3",
                stem=13,
                features=1920,
            ),
            224,
        ),
        "gernet_m": (
            _genet(
                "basic 1 c128 s2",
                "basic 2 c192 s2",
                "bottle 6 c640 s2 r0.25",
                "bottle 4 c640 s2 g1 r3",
                "bottle 1 c640 g1 r3",
                stem=32,
                features=2560,
            ),
            224,
        ),
        "gernet_l": (
            _genet(
                "basic 1 c128 s2",
                "basic 2 c192 s2",
                "bottle 6 c640 s2 r0.25",
                "bottle 5 c640 s2 g1 r3",
                "bottle 4 c640 g1 r3",
                stem=32,
                features=2560,
            ),
            256,
        ),
        "resnext26ts": (_26, 256),
        "gcresnext26ts": (replace(_26, gate="gc"), 256),
        "seresnext26ts": (replace(_26, gate="se"), 256),
        "eca_resnext26ts": (replace(_26, gate="eca"), 256),
        "resnet32ts": (_32, 256),
        "resnet33ts": (_33, 256),
        "gcresnet33ts": (replace(_33, gate="gc"), 256),
        "seresnet33ts": (replace(_33, gate="se"), 256),
        "eca_resnet33ts": (replace(_33, gate="eca"), 256),
        "gcresnet50t": (OwnBlocks(stages=_residual((3, 4, 6, 3), _WIDE), stem=_TIERED, gate="gc"), 256),
        "gcresnext50ts": (
            replace(_26, stages=_residual((3, 4, 6, 3), _WIDE, " g32"), gate="gc"),
            256,
        ),
        "resnet51q": (_Q, 256),
        "resnet61q": (replace(_Q, stages=("edge 1 c256", *_QUAD), stem_acts=0, twice=True), 256),
        "regnetz_b16": (_Z, 224),
        "regnetz_c16": (_Z_C, 256),
        "regnetz_d32": (replace(_Z_D, stages=_expanded((3, 6, 12, 3), (64, 128, 256, 384), 32, 4, 1)), 256),
        "regnetz_d8": (_Z_D, 256),
        "regnetz_e8": (
            replace(_Z_D, stages=_expanded((3, 8, 16, 3), (96, 192, 384, 512), 8, 4, 1), features=2048),
            256,
        ),
        "regnetz_b16_evos": (replace(_Z, norm_group=16), 224),
        "regnetz_c16_evos": (replace(_Z_C, norm_group=16), 256),
        "regnetz_d8_evos": (replace(_Z_D, stem=(64, 64, 64), norm_group=16), 256),
        "resnet50_mlp": (replace(_CLIP, head="hidden", hidden=1024), 256),
    }
)
_CLIP_SIZES: Mapping[str, tuple[tuple[int, int, int, int], float, int, int]] = MappingProxyType(
    {
        "50": ((3, 4, 6, 3), 1.0, 224, 1024),
        "101": ((3, 4, 23, 3), 1.0, 224, 512),
        "50x4": ((4, 6, 10, 6), 1.25, 288, 640),
        "50x16": ((6, 8, 18, 8), 1.5, 384, 768),
        "50x64": ((3, 15, 36, 10), 2.0, 448, 1024),
    }
)
"""Depths, width, image size and length of the embedding (Radford et al. 2021, CLIP, Table 19)."""
_REP_DEPTHS: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {"a": (2, 4, 14, 1), "b": (4, 6, 16, 1), "d": (8, 14, 24, 1)}
)
_REP_WIDTHS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "a0": (0.75, 2.5),
        "a1": (1.0, 2.5),
        "a2": (1.5, 2.75),
        "b0": (1.0, 2.5),
        "b1": (2.0, 4.0),
        "b2": (2.5, 5.0),
        "b3": (3.0, 5.0),
        "d2": (2.5, 5.0),
    }
)
"""Width of the first three stages and of the last (Ding et al. 2021, RepVGG, Table 2)."""


def _find(name: str) -> Sized | None:
    if name in _NETWORKS:
        return Sized(*_NETWORKS[name])
    found = re.match(r"resnet(\d+(?:x\d+)?)_clip(_gap)?$", name)
    if found is None or found[1] not in _CLIP_SIZES:
        return None
    depths, width, pixels, embedding = _CLIP_SIZES[found[1]]
    network = replace(_CLIP, stages=_residual(depths, _WIDE), width=width, head="linear" if found[2] else "attention")
    return Sized(network, pixels, 1000 if found[2] else embedding)


def _find_rep(name: str) -> Sized | None:
    found = re.match(r"repvgg_([abd]\d)(g4)?(se)?(?:_branches)?$", name)
    if found is None or found[1] not in _REP_WIDTHS:
        return None
    size, grouped, gated = found.groups()
    early, late = _REP_WIDTHS[size]
    widths = (int(64 * early), int(128 * early), int(256 * early), int(512 * late))
    group = " g4" if grouped else ""
    stages = tuple(f"rep {d} c{w} s2{group}" for d, w in zip(_REP_DEPTHS[size[0]], widths, strict=True))
    return Sized(
        OwnBlocks(stages=stages, stem=(min(64, widths[0]),), gate="se" if gated else ""), 320 if gated else 224
    )


FAMILIES = (
    ImageFamily(
        name="timm's own",
        title="network of bottlenecks",
        source="R. Wightman, PyTorch Image Models; Lin et al. 2020, Neural Architecture Design for GPU-Efficient "
        "Networks; Radford et al. 2021, CLIP",
        examples=("resnet33ts", "regnetz_d8", "gernet_l", "resnet50x4_clip"),
        find=_find,
    ),
    ImageFamily(
        name="repvgg",
        title="convolutions with branches, not merged",
        source="Ding et al. 2021, RepVGG: Making VGG-style ConvNets Great Again, Table 2",
        examples=("repvgg_b1g4", "repvgg_a0_branches", "repvgg_d2se"),
        find=_find_rep,
    ),
)
