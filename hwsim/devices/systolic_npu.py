"""Systolic-array NPU: arrays of multiply-accumulate cells, a scratchpad, a vector unit, DRAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from hwsim.graph.tensor import FORMATS
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio, Text

__all__ = ["SystolicNpuSection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicNpuSection:
    """``systolic_npu:`` of a device YAML.

    ``cores`` x ``arrays`` arrays of ``rows`` x ``cols`` cells; ``macs`` is multiply-accumulates per cell and
    clock by format (formats left out are not supported); ``vector`` operations per clock and core of the
    vector unit by format; ``special`` special-function results per clock and core. The scratchpad is the
    second entry of ``memory:``, ``accumulators`` the size of the partial-sum memory of one core.
    """

    rows: Annotated[int, Count("rows")]
    cols: Annotated[int, Count("cols")]
    clock_hz: Annotated[float, Quantity("clock", "Hz")]
    cores: Annotated[int, Count("cores")] = 1
    arrays: Annotated[int, Count("arrays")] = 1
    dataflow: Annotated[str, Choice("dataflow", ("os", "ws", "is"))] = "ws"
    overlap_weights: Annotated[bool, Choice("overlap_weights")] = True
    double_buffered: Annotated[bool, Choice("double_buffered")] = True
    macs: Annotated[Mapping[str, float], Formats("macs", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    vector: Annotated[Mapping[str, float], Formats("vector", Ratio("", 0.0), FORMATS)] = field(default_factory=dict)
    special: Annotated[float, Ratio("special", 0.0)] = 16.0
    accumulators_bytes: Annotated[float, Quantity("accumulators", "bytes")] = 262144.0
    source: Annotated[str, Text("source")] = ""
    assumption: Annotated[str, Text("assumption")] = ""
