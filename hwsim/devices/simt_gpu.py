"""SIMT GPU: streaming multiprocessors with tensor cores, a shared L2 and DRAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from hwsim.graph.tensor import FORMATS
from hwsim.specs.fields import Count, Formats, Quantity, Ratio, Text

__all__ = ["SimtGpuSection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimtGpuSection:
    """``simt_gpu:`` of a device YAML.

    ``tensor`` and ``vector`` are operations (a fused multiply-add is two) per clock and SM by format;
    ``vector_clock`` is the clock the vector peak is quoted at when it differs from ``clock``;
    ``special`` are special-function results (exp, rsqrt ...) per clock and SM.
    """

    sms: Annotated[int, Count("sms")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    vector_clock_hz: Annotated[float, Quantity("vector_clock", "Hz")] = 0.0
    warp_size: Annotated[int, Count("warp_size")] = 32
    max_warps_per_sm: Annotated[int, Count("max_warps_per_sm")] = 64
    max_blocks_per_sm: Annotated[int, Count("max_blocks_per_sm")] = 32
    registers_per_sm: Annotated[int, Count("registers_per_sm")] = 65536
    shared_memory_per_sm_bytes: Annotated[float, Quantity("shared_memory_per_sm", "bytes")] = 65536.0
    tensor: Annotated[Mapping[str, float], Formats("tensor", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    vector: Annotated[Mapping[str, float], Formats("vector", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    special: Annotated[float, Ratio("special", 0.0)] = 16.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""
