"""What benchncnn of Tencent/ncnn calls its networks, and the sizes that benchmark/benchncnn.cpp gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NCNN_NAMES", "NCNN_SIZES"]

NCNN_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "blazeface_front": ("blazeface",),
        "mnasnet1_0": ("mnasnet",),
        "mobilenet_v1": ("mobilenet",),
        "mobilenet_v1_yolo": ("mobilenet_yolo",),
        "mobilenet_v2_yolov3": ("mobilenetv2_yolov3",),
        "vit_base_patch32_384": ("vision_transformer",),
        "yolo_fastest": ("yolo_fastest_1_1",),
        "yolo_fastest_v2": ("yolo_fastestv2",),
    }
)
"""Names by workload, folded."""
NCNN_SIZES: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {
        128: ("blazeface",),
        227: ("squeezenet", "alexnet"),
        300: ("squeezenet_ssd", "mobilenet_ssd"),
        320: ("nanodet_m", "yolo_fastest_1_1"),
        352: ("fastestdet", "mobilenetv2_yolov3", "yolo_fastestv2"),
        384: ("vision_transformer",),
        416: ("yolov4_tiny", "mobilenet_yolo"),
    }
)
"""Folded names by height and width, where they are not those that its rows state."""
