"""What a CPU is: cores, SIMD units, matrix units, and how many of them work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from hwsim.cost.cpu import simd_flop_per_s
from hwsim.graph.tensor import BITS, FORMATS
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio, Text

__all__ = ["CpuSection", "simd_peaks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuSection:
    """``cpu:`` of a device YAML.

    Vector peak: cores x clock x ``fma_ports`` x 2 x ``simd_bits`` / bits of the format, times ``dot`` by
    format where that is not the rate (fp32 and fp64 need no entry; other formats count only if they have one).
    ``matrix`` are operations per clock and core of a matrix unit by format, at ``matrix_clock`` if given. A format
    with neither runs as the next wider one that has. ``threads``: threads that work (0: one a core).
    Cache levels are the further entries of ``memory:``, nearest DRAM first. Of the ``private`` levels nearest the cores
    each core has its share, so fewer threads have less of them. ``core_bandwidth``: what one core can draw from DRAM
    (0: no less than all). ``in_order``: cores wait for data they miss, so that computing and transfers do not overlap.
    """

    cores: Annotated[int, Count("cores")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    simd_bits: Annotated[int, Count("simd_bits")]
    fma_ports: Annotated[int, Count("fma_ports")] = 1
    dot: Annotated[Mapping[str, float], Formats("dot", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    matrix: Annotated[Mapping[str, float], Formats("matrix", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    matrix_clock_hz: Annotated[float, Quantity("matrix_clock", "Hz")] = 0.0
    threads: Annotated[int, Count("threads", 0)] = 0
    private: Annotated[int, Count("private", 0)] = 0
    in_order: Annotated[bool, Choice("in_order")] = False
    core_bandwidth_bytes_per_s: Annotated[float, Quantity("core_bandwidth", "bytes/s", zero=True)] = 0.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""

    @property
    def used_cores(self) -> int:
        """Cores that work."""
        return min(self.threads, self.cores) if self.threads else self.cores


def simd_peaks(core: CpuSection) -> dict[str, float]:
    """Operations per second of the SIMD units of all cores that work, by format."""
    rates = {"fp32": 1.0, "fp64": 1.0} | dict(core.dot)
    return {
        fmt: rate * float(simd_flop_per_s(core.used_cores, core.clock_hz, core.simd_bits, BITS[fmt], core.fma_ports))
        for fmt, rate in rates.items()
    }
