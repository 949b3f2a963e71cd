"""Toy hardware with round numbers: a chip that moves 1 MB in 1 us, and systems made of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import pytest

from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec, MemorySpec
from hwsim.specs.system import InterconnectSpec, LinkSpec, SystemSpec

MakeChip = Callable[..., DeviceSpec]
MakeSystem = Callable[..., SystemSpec]


@pytest.fixture
def chip() -> MakeChip:
    """An ideal chip of 1 TB/s and 1 PFLOP/s, without idle power; paths and values change it."""

    def made(changes: Mapping[str, object] | None = None) -> DeviceSpec:
        base = {"memory.dram.bandwidth": "1 TB/s", "memory.dram.energy": "0 J/B"}
        return load_device("ideal").evolve({**base, **(changes or {})}, "toy")

    return made


@pytest.fixture
def system(chip: MakeChip) -> MakeSystem:
    """Chips a, b, ... with memories of their own, joined by links of 1 TB/s and 1 us; or on one shared memory."""

    def made(
        roles: str = "ab",
        *,
        shared: bool = False,
        latency_s: float = 1e-6,
        energy_j_per_byte: float = 0.0,
        changes: Mapping[str, object] | None = None,
        interconnect: InterconnectSpec | None = None,
    ) -> SystemSpec:
        one = chip(changes)
        links = tuple(
            LinkSpec(
                between=(a, b),
                bandwidth_bytes_per_s=1e12,
                latency_s=latency_s,
                energy_j_per_byte=energy_j_per_byte,
                coherent=shared,
            )
            for a in roles
            for b in roles
            if a < b
        )
        memory = MemorySpec(name="dram", capacity_bytes=128e9, bandwidth_bytes_per_s=1e15) if shared else None
        return SystemSpec(
            name="toys",
            title="toys",
            devices=MappingProxyType(dict.fromkeys(roles, one)),
            memory=memory,
            links=links,
            interconnect=interconnect,
        )

    return made
