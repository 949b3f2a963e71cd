"""Networks of inverted residuals by the names of timm: their stages, widths and depths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from hwsim.workloads.families import ImageFamily, Sized
from hwsim.workloads.timm.mobile_blocks import InvertedResiduals
from hwsim.workloads.timm.mobile_tables import (
    EDGE_TPU_V1,
    EFFICIENTNET,
    EFFICIENTNET_EDGE,
    EFFICIENTNET_V2,
    FBNET_V3,
    LCNET,
    MIXNET,
    MNASNET,
    MOBILENET_V1,
    MOBILENET_V2,
    MOBILENET_V3,
    MOBILENET_V4,
    edge_tpu_stages,
)

__all__ = ["FAMILIES"]

_SCALES: Mapping[str, tuple[float, float, int]] = MappingProxyType(
    {
        "b0": (1.0, 1.0, 224),
        "b1": (1.0, 1.1, 240),
        "b2": (1.1, 1.2, 260),
        "b3": (1.2, 1.4, 300),
        "b4": (1.4, 1.8, 380),
        "b5": (1.6, 2.2, 456),
        "b6": (1.8, 2.6, 528),
        "b7": (2.0, 3.1, 600),
        "b8": (2.2, 3.6, 672),
        "l2": (4.3, 5.3, 800),
        "es": (1.0, 1.0, 224),
        "em": (1.0, 1.1, 240),
        "el": (1.2, 1.4, 300),
    }
)
"""Width, depth and image size (Tan and Le 2019, EfficientNet, section 3.3)."""


def _efficientnet(name: str) -> Sized | None:
    found = re.match(r"(tf_)?efficientnet_(blur_)?(?:(lite)(\d)|(b\d|l2|e[sml]))(_g8|_g16)?(_gn)?$", name)
    if found is None:
        return None
    same, blurred, lite, number, size, group, norm = found.groups()
    scale = f"b{number}" if lite else size
    if scale not in _SCALES:
        return None
    width, depth, pixels = _SCALES[scale]
    network = InvertedResiduals(stages=EFFICIENTNET, width=width, depths=(depth,), act="silu", same=bool(same))
    features = replace(network, features=network.rounded_channels(1280))
    if lite:
        stages = tuple(stage.replace(" se0.25", "") for stage in EFFICIENTNET)
        features = replace(network, stages=stages, act="relu6", fixed=True)
    elif scale.startswith("e"):
        features = replace(features, stages=EFFICIENTNET_EDGE, act="relu")
    if norm:
        size_of_group = 8 if scale == "b0" else 16
        features = replace(
            features, divisor=size_of_group, norm_group=size_of_group, group_size=int(group[2:]) if group else 1
        )
        features = replace(features, features=features.rounded_channels(1280))
    return Sized(replace(features, blur=3 if blurred else 0), pixels)


def _efficientnet_v2(name: str) -> Sized | None:
    found = re.match(r"(tf_)?efficientnetv2_(b\d|rw_[tsm]|[sml]|xl)$", name)
    if found is None:
        return None
    same, size = found.groups()
    if size.startswith("b"):
        width, depth, pixels = _SCALES[size]
        network = InvertedResiduals(
            stages=EFFICIENTNET_V2["b"], width=width, depths=(depth,), act="silu", limit=0.0, same=bool(same)
        )
        return Sized(
            replace(network, features=network.rounded_channels(1280)), pixels - 48 + (16 if size > "b1" else 0)
        )
    wide: dict[str, tuple[float, tuple[float, ...], int]] = {
        "rw_t": (0.8, (0.9,), 224),
        "rw_s": (1.0, (1.0,), 288),
        "rw_m": (1.2, (1.2, 1.2, 1.2, 1.2, 1.6, 1.6), 320),
    }
    width, depths, pixels = wide.get(size, (1.0, (1.0,), 300 if size == "s" else 384))
    key = {"rw_t": "s", "rw_s": "rw", "rw_m": "rw"}.get(size, size)
    stem = 32 if size in ("l", "xl") else 24
    network = InvertedResiduals(
        stages=EFFICIENTNET_V2[key], width=width, depths=depths, stem=stem, act="silu", same=bool(same)
    )
    features = 1792 if key == "rw" else 1280
    return Sized(replace(network, features=network.rounded_channels(features)), pixels)


def _percent(text: str) -> float:
    return int(text) / 100


def _mobilenet_v1_v2(name: str) -> Sized | None:
    found = re.match(r"mobilenetv([12])_(\d{3})([dh]?)$", name)
    if found is None:
        return None
    version, share, letter = found.groups()
    width = _percent(share)
    if version == "1":
        head = "conv" if letter == "h" else "none"
        network = InvertedResiduals(
            stages=MOBILENET_V1, width=width, act="relu6", head=head, features=1024, grow_features=True
        )
        return Sized(network)
    depth = {"110": 1.2, "120": 1.4}.get(share, 1.0) if letter == "d" else 1.0
    network = InvertedResiduals(stages=MOBILENET_V2, width=width, depths=(depth,), act="relu6", fixed=letter == "d")
    return Sized(replace(network, grow_features=letter != "d"))


_HARD = ("relu", "hardsigmoid", True, True)


def _mobilenet_v3(name: str) -> Sized | None:
    if name == "mobilenetv3_rw":
        squeeze = ("", "hardsigmoid", False, True)
        return Sized(
            InvertedResiduals(stages=MOBILENET_V3["rw"], stem=16, act="hardswish", head="pooled_bare", squeeze=squeeze)
        )
    found = re.match(r"(tf_)?mobilenetv3_(large|small)(_minimal)?_(\d{3})(d?)$", name)
    if found is None:
        return None
    same, size, minimal, share, deep = found.groups()
    network = InvertedResiduals(
        stages=MOBILENET_V3[size + (minimal or "")],
        width=_percent(share),
        depths=(1.2 if deep else 1.0,),
        stem=16,
        fixed_stem=int(share) < 75,
        features=1024 if size == "small" else 1280,
        act="relu" if minimal else "hardswish",
        head="pooled",
        squeeze=_HARD,
        same=bool(same),
    )
    return Sized(network)


def _mobilenet_v4(name: str) -> Sized | None:
    found = re.match(r"mobilenetv4_(conv|hybrid)_(aa_|blur_)?(small|medium|large)(?:_(\d{3}))?$", name)
    if found is None or f"{found[1]}_{found[3]}" not in MOBILENET_V4:
        return None
    kind, soft, size, share = found.groups()
    network = InvertedResiduals(
        stages=MOBILENET_V4[f"{kind}_{size}"],
        width=_percent(share) if share else 1.0,
        stem=24 if size == "large" else 32,
        fixed_stem=share is not None,
        act="gelu" if (kind, size) == ("hybrid", "large") else "relu",
        head="pooled_norm",
        layer_scale=kind == "hybrid",
        blur=3 if soft == "blur_" else 0,
        average_stride=soft == "aa_",
    )
    return Sized(network, {"small": 224, "medium": 256, "large": 384}[size] if share is None else 224)


def _mnasnet(name: str) -> Sized | None:
    if name == "mnasnet_small":
        return Sized(InvertedResiduals(stages=MNASNET["small"], stem=8))
    found = re.match(r"(se)?mnasnet_(\d{3})$", name)
    if found is None:
        return None
    return Sized(InvertedResiduals(stages=MNASNET["a1" if found[1] else "b1"], width=_percent(found[2])))


def _mixnet(name: str) -> Sized | None:
    found = re.match(r"(tf_)?mixnet_(s|m|l|xl|xxl)$", name)
    if found is None:
        return None
    same, size = found.groups()
    width, depth = {"s": (1.0, 1.0), "m": (1.0, 1.0), "l": (1.3, 1.0), "xl": (1.6, 1.2), "xxl": (2.4, 1.3)}[size]
    small = size == "s"
    network = InvertedResiduals(
        stages=MIXNET["s" if small else "m"],
        width=width,
        depths=(depth,),
        nearest_depth=True,
        stem=16 if small else 24,
        features=1536,
        same=bool(same),
    )
    return Sized(network)


def _tinynet(name: str) -> Sized | None:
    sizes = {"a": (1.0, 1.2, 192), "b": (0.75, 1.1, 188), "c": (0.54, 0.85, 184), "d": (0.54, 0.695, 152)}
    sizes["e"] = (0.51, 0.6, 106)
    found = re.match(r"tinynet_([a-e])$", name)
    if found is None:
        return None
    width, depth, pixels = sizes[found[1]]
    network = InvertedResiduals(
        stages=EFFICIENTNET, width=width, depths=(depth,), nearest_depth=True, act="silu", fixed_stem=True
    )
    return Sized(network, pixels)


def _lcnet(name: str) -> Sized | None:
    found = re.match(r"lcnet_(\d{3})$", name)
    if found is None:
        return None
    squeeze = ("relu", "hardsigmoid", False, True)
    return Sized(
        InvertedResiduals(
            stages=LCNET, width=_percent(found[1]), stem=16, act="hardswish", head="pooled", squeeze=squeeze
        )
    )


def _fbnet(name: str) -> Sized | None:
    found = re.match(r"fbnetv3_([bdg])$", name)
    if found is None:
        return None
    network = InvertedResiduals(
        stages=FBNET_V3[found[1]],
        stem={"b": 16, "d": 24, "g": 32}[found[1]],
        features=1984,
        act="hardswish",
        head="pooled_bare",
        squeeze=("", "hardsigmoid", True, False),
        limit=0.95,
    )
    return Sized(network, 240 if found[1] == "g" else 224)


def _edge_tpu(name: str) -> Sized | None:
    found = re.match(r"mobilenet_edgetpu_(?:(100)|v2_(xs|s|m|l))$", name)
    if found is None:
        return None
    if found[1]:
        return Sized(InvertedResiduals(stages=EDGE_TPU_V1))
    size = found[2]
    network = InvertedResiduals(
        stages=edge_tpu_stages(size),
        stem=32 if size == "xs" else 64,
        stem_kernel={"xs": 3, "s": 5, "m": 5, "l": 7}[size],
        features=1408 if size == "l" else 1344 if size == "m" else 1280,
    )
    return Sized(network)


_FINDERS: tuple[tuple[str, str, Callable[[str], Sized | None], tuple[str, ...]], ...] = (
    (
        "efficientnet",
        "Tan and Le 2019, EfficientNet; Gupta and Tan 2019, EfficientNet-EdgeTPU",
        _efficientnet,
        ("efficientnet_b3", "tf_efficientnet_b7", "efficientnet_lite2", "efficientnet_es"),
    ),
    (
        "efficientnetv2",
        "Tan and Le 2021, EfficientNetV2, Table 4",
        _efficientnet_v2,
        ("efficientnetv2_s", "tf_efficientnetv2_b2", "efficientnetv2_rw_m"),
    ),
    (
        "mobilenetv1, mobilenetv2",
        "Howard et al. 2017, MobileNets; Sandler et al. 2018, MobileNetV2, Table 2",
        _mobilenet_v1_v2,
        ("mobilenetv1_125", "mobilenetv2_050", "mobilenetv2_120d"),
    ),
    (
        "mobilenetv3",
        "Howard et al. 2019, Searching for MobileNetV3, Tables 1 and 2",
        _mobilenet_v3,
        ("mobilenetv3_large_075", "mobilenetv3_small_050", "tf_mobilenetv3_large_minimal_100"),
    ),
    (
        "mobilenetv4",
        "Qin et al. 2024, MobileNetV4, appendix D",
        _mobilenet_v4,
        ("mobilenetv4_conv_medium", "mobilenetv4_hybrid_large", "mobilenetv4_conv_small_035"),
    ),
    ("mnasnet", "Tan et al. 2019, MnasNet, Fig. 7", _mnasnet, ("mnasnet_140", "semnasnet_100", "mnasnet_small")),
    ("mixnet", "Tan and Le 2019, MixConv: Mixed Depthwise Convolutional Kernels, Fig. 4", _mixnet, ("mixnet_xl",)),
    ("tinynet", "Han et al. 2020, Model Rubik's Cube, Table 6", _tinynet, ("tinynet_a", "tinynet_e")),
    ("lcnet", "Cui et al. 2021, PP-LCNet, Table 1", _lcnet, ("lcnet_050", "lcnet_150")),
    ("fbnetv3", "Dai et al. 2021, FBNetV3, appendix", _fbnet, ("fbnetv3_b", "fbnetv3_g")),
    (
        "mobilenet_edgetpu",
        "Xiong et al. 2021, MobileDets; TensorFlow Model Garden, MobileNetEdgeTPU",
        _edge_tpu,
        ("mobilenet_edgetpu_100", "mobilenet_edgetpu_v2_m"),
    ),
)

FAMILIES = tuple(
    ImageFamily(name=name, title="inverted residuals", source=source, examples=examples, find=find)
    for name, source, find, examples in _FINDERS
)
