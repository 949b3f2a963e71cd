"""CPU: cores with SIMD, fused multiply-add ports and matrix units, cache levels, DRAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from hwsim.graph.tensor import FORMATS
from hwsim.specs.fields import Count, Formats, Quantity, Ratio, Text

__all__ = ["CpuSection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSection:
    """``cpu:`` of a device YAML.

    Vector peak: cores x clock x ``fma_ports`` x 2 x ``simd_bits`` / bits of the format, times ``dot`` by
    format where the unit sums narrow products (int8 dot products). ``matrix`` are operations per clock and
    core of a matrix unit by format, at ``matrix_clock`` if given. Formats without either are not supported.
    Cache levels are the further entries of ``memory:``, nearest DRAM first.
    """

    cores: Annotated[int, Count("cores")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    simd_bits: Annotated[int, Count("simd_bits")]
    fma_ports: Annotated[int, Count("fma_ports")] = 1
    dot: Annotated[Mapping[str, float], Formats("dot", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    matrix: Annotated[Mapping[str, float], Formats("matrix", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    matrix_clock_hz: Annotated[float, Quantity("matrix_clock", "Hz")] = 0.0
    threads: Annotated[int, Count("threads", 0)] = 0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""
