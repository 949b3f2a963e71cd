"""Vision transformers by the names of timm: ``vit_<size>_patch<side>[_kind ...][_<pixels>]``, DeiT and BEiT."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.vit import VisionTransformer

__all__ = ["FAMILIES"]

_SIZES: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {
        # width, layers, heads, hidden width of the perceptrons (0: four times the width)
        "tiny": (192, 12, 3, 0),
        "xsmall": (256, 10, 4, 0),
        "wee": (256, 14, 4, 5 * 256),
        "pwee": (256, 16, 4, 5 * 256),
        "small": (384, 12, 6, 0),
        "little": (320, 14, 5, 1792),
        "medium": (512, 12, 8, 0),
        "mediumd": (512, 20, 8, 0),
        "betwixt": (640, 12, 10, 0),
        "base": (768, 12, 12, 0),
        "so150m": (896, 18, 14, 2304),
        "large": (1024, 24, 16, 0),
        "so400m": (1152, 27, 16, 4304),
        "huge": (1280, 32, 16, 0),
        "giant": (1408, 40, 16, 6144),
        "gigantic": (1664, 48, 16, 8192),
    }
)
"""Dosovitskiy et al. 2021, Table 1; Zhai et al. 2022, Table 2; Alabdulmohsin et al. 2023 (SoViT); the others timm's."""
_NAME = re.compile(
    r"vit_(?P<relpos>s?relpos_)?(?P<size>[a-z]+(?:\d+m)?)_patch(?P<patch>\d+)(?P<kinds>(?:_[a-z0-9]+)*?)(?:_(?P<pixels>\d{3}))?$"
)
_SCALED_GAP = ("medium", "betwixt")


def _find(name: str) -> Sized | None:
    flexible = re.match(r"flexivit_(small|base|large)$", name)
    if flexible is not None:
        width, depth, heads, _ = _SIZES[flexible[1]]
        return Sized(VisionTransformer(depth=depth, width=width, heads=heads, token_positions=False), 240)
    if name == "vit_base_patch16_224_miil":
        return Sized(VisionTransformer(depth=12, width=768, heads=12, packed_bias=False), 224, 11_221)
    if name == "test_vit":
        return Sized(VisionTransformer(depth=6, width=64, heads=2, hidden=192), 160)
    found = _NAME.match(name)
    if found is None or found["size"] not in _SIZES:
        return None
    kinds = found["kinds"].strip("_").split("_") if found["kinds"] else []
    registers = [kind for kind in kinds if re.fullmatch(r"reg\d", kind)]
    wide = [kind for kind in kinds if re.fullmatch(r"\d+x\d", kind)]
    if any(kind not in _CHANGES for kind in kinds if kind not in (*registers, *wide)):
        return None
    size, patch = found["size"], int(found["patch"])
    width, depth, heads, hidden = _SIZES[size]
    network = VisionTransformer(depth=depth, width=width, heads=heads, hidden=hidden, patch=patch)
    for kind in kinds:
        network = _of_kind(network, kind, kinds, size)
    if registers:
        network = _with_registers(network, int(registers[0][3:]), kinds)
    if found["relpos"]:
        network = _relative(network, kinds)
    if size == "pwee":
        network = replace(network, joint=True)
    pixels = int(found["pixels"] or 518)
    return Sized(network, pixels)


_CHANGES: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "clip": {"norm_first": True},
        "quickgelu": {"act": "quick_gelu"},
        "siglip": {"tokens": 0, "pool": "attention", "cropped": True},
        "map": {"tokens": 0, "pool": "attention"},
        "gap": {"tokens": 0, "pool": "average"},
        "dinov2": {"scaled": True},
        "miil": {"packed_bias": False},
        "plus": {"width": 896, "heads": 14, "scaled": True},
        "rpn": {"packed_bias": False, "tokens": 0, "pool": "average", "norm_after": True, "norm_pooled": True},
        "xp": {"norm_first": True, "token_positions": False},
        "cls": {},
    }
)
"""What each word of a name changes."""


def _of_kind(network: VisionTransformer, kind: str, kinds: list[str], size: str) -> VisionTransformer:
    if re.fullmatch(r"\d+x\d", kind):
        layers, branches = kind.split("x")
        return replace(network, depth=int(layers), branches=int(branches), scaled=True)
    network = replace(network, **_CHANGES.get(kind, {}))  # type: ignore[arg-type]
    if kind == "gap" and "siglip" not in kinds and not any(k.startswith("reg") for k in kinds):
        if size in _SCALED_GAP:
            return replace(network, scaled=True, packed_bias=False)
        return replace(network, heads=16 if size == "base" else network.heads)
    if kind == "dinov2" and size == "giant":
        return replace(network, width=1536, heads=24, hidden=8192, gated=True, act="silu")
    return network


def _with_registers(network: VisionTransformer, count: int, kinds: list[str]) -> VisionTransformer:
    """Register tokens (Darcet et al. 2024, Vision Transformers Need Registers)."""
    pooled = network.pool != ""
    network = replace(network, tokens=network.tokens + count, token_positions=False)
    if not pooled:
        return network
    return replace(network, scaled=network.width <= 640, norm_pooled="map" not in kinds and network.width <= 768)


def _relative(network: VisionTransformer, kinds: list[str]) -> VisionTransformer:
    """Position biases on the scores instead of embeddings; one token only where the name says so."""
    return replace(
        network,
        relative="plain",
        tokens=1 if "cls" in kinds else 0,
        positions=False,
        pool="" if "cls" in kinds else "average",
        norm_pooled="cls" not in kinds,
        packed_bias="plus" in kinds and "rpn" not in kinds,
        scaled="rpn" not in kinds,
    )


def _find_deit(name: str) -> Sized | None:
    found = re.match(r"(deit3?|beit(?:v2)?)_([a-z]+)(_distilled)?_patch(\d+)_(\d{3})$", name)
    if found is None or found[2] not in _SIZES:
        return None
    kind, size, distilled, patch, pixels = found.groups()
    width, depth, heads, hidden = _SIZES[size]
    network = VisionTransformer(depth=depth, width=width, heads=heads, hidden=hidden, patch=int(patch))
    if distilled:
        network = replace(network, tokens=2, read=2)
    if kind == "deit3":
        network = replace(network, token_positions=False, scaled=True)
    if kind.startswith("beit"):
        network = replace(network, positions=False, relative="window", scaled=True, pool="average", norm_pooled=True)
    return Sized(network, int(pixels))


FAMILIES = (
    ImageFamily(
        name="vit",
        title="vision transformer",
        source="Dosovitskiy et al. 2021, An Image is Worth 16x16 Words, Table 1",
        examples=("vit_tiny_patch16_384", "vit_large_patch14_clip_336", "vit_so400m_patch14_siglip_384"),
        find=_find,
        minimum=8,
    ),
    ImageFamily(
        name="deit, beit",
        title="vision transformer",
        source="Touvron et al. 2021, DeiT; Touvron et al. 2022, DeiT III; Bao et al. 2022, BEiT",
        examples=("deit_tiny_patch16_224", "deit3_large_patch16_384", "beit_base_patch16_224"),
        find=_find_deit,
        minimum=8,
    ),
)
