"""What a stepped multiprocessor consists of, and what a run on it reports.

Latencies by default are those of Z. Jia et al., "Dissecting the NVIDIA Volta GPU architecture via microbenchmarking",
2018: arithmetic 4 cycles, shared memory 19 (table 3.1), global memory about 400 beyond the caches (figure 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.devices.simt_gpu import SimtGpuSection
from hwsim.errors import InputError
from hwsim.specs.device import DeviceSpec

__all__ = ["SimtRun", "Sm", "sm_of"]

_SCHEDULERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Sm:
    """A multiprocessor; lanes are a scheduler's, ``..._cycles`` are latencies from issue to result."""

    warp_size: int = 32
    schedulers: int = 1
    max_warps: int = 64
    max_blocks: int = 32
    registers: int = 65536
    shared_bytes: int = 98304
    lanes: int = 32
    special_lanes: int = 8
    arithmetic_cycles: int = 4
    special_cycles: int = 16
    shared_cycles: int = 19
    memory_cycles: int = 400
    memory_bytes_per_cycle: float = 8.0
    sector_bytes: int = 32
    banks: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SimtRun:
    """What a stepped kernel did.

    ``cycles`` end with the last result; ``instructions`` were issued by warps, ``lane_instructions`` by active lanes.
    ``memory_bytes`` are whole sectors; ``bank_conflicts`` passes of shared memory beyond the first of an access.
    """

    cycles: int
    instructions: int
    lane_instructions: int
    memory_bytes: int
    bank_conflicts: int
    resident_blocks: int
    resident_warps: int
    warp_size: int

    @property
    def instructions_per_cycle(self) -> float:
        """Warp instructions issued a cycle."""
        return self.instructions / self.cycles

    @property
    def lane_share(self) -> float:
        """Active lanes an instruction, 0..1: below one where warps diverge or are not full."""
        return self.lane_instructions / (self.instructions * self.warp_size)

    @property
    def memory_bytes_per_cycle(self) -> float:
        """Bytes a cycle through the memory port."""
        return self.memory_bytes / self.cycles


def sm_of(spec: DeviceSpec) -> Sm:
    """One of a GPU's multiprocessors, with its share of the memory bandwidth and four schedulers.

    assumption: four schedulers, as every NVIDIA multiprocessor since Maxwell has; latencies the file does not give are
    the defaults. Raises InputError for other kinds of device.
    """
    core = spec.core
    if not isinstance(core, SimtGpuSection):
        raise InputError(f"{spec.name} is a {spec.kind}; a stepped multiprocessor needs a simt_gpu, such as 'h100_sxm'")
    memory = spec.main_memory
    return Sm(
        warp_size=core.warp_size,
        schedulers=_SCHEDULERS,
        max_warps=core.max_warps_per_sm,
        max_blocks=core.max_blocks_per_sm,
        registers=core.registers_per_sm,
        shared_bytes=int(core.shared_memory_per_sm_bytes),
        lanes=max(1, int(core.vector.get("fp32", 2.0 * core.warp_size) / 2 / _SCHEDULERS)),
        special_lanes=max(1, int(core.special / _SCHEDULERS)),
        memory_cycles=round(memory.latency_s * core.clock_hz) or Sm().memory_cycles,
        memory_bytes_per_cycle=memory.bandwidth_bytes_per_s / (core.sms * core.clock_hz),
    )
