"""A toy chip, built by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated

import pytest

from hwsim.specs.device import DeviceSpec, MemorySpec, PowerSpec, PState
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio
from hwsim.specs.software import SoftwareSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ToySection:
    rows: Annotated[int, Count("rows")] = 64
    cols: Annotated[int, Count("cols")] = 32
    clock_hz: Annotated[float, Quantity("clock", "Hz")] = 1e9
    dataflow: Annotated[str, Choice("dataflow", ("os", "ws"))] = "os"
    macs: Annotated[Mapping[str, float], Formats("macs", Ratio("", 0.0), ("int8", "fp16"))] = field(
        default_factory=lambda: MappingProxyType({"int8": 1.0})
    )


@pytest.fixture(scope="session")
def chip() -> DeviceSpec:
    """An array with dram and sram, two stacks, two operating points."""
    return DeviceSpec(
        name="toychip",
        title="A toy",
        kind="array",
        core=ToySection(),
        memory=(
            MemorySpec(name="dram", capacity_bytes=8e9, bandwidth_bytes_per_s=64e9),
            MemorySpec(name="sram", capacity_bytes=8e6, bandwidth_bytes_per_s=1e12),
        ),
        power=PowerSpec(
            tdp_w=8.0,
            idle_w=1.0,
            p_states=(PState(name="high", clock=1.0, voltage=1.0), PState(name="low", clock=0.5, voltage=0.8)),
        ),
        software=MappingProxyType({name: SoftwareSpec(name=name) for name in ("compiled", "eager")}),
    )
