"""What a chip's fitted constants become on a relative that was never measured.

A level-two cache gives each multiprocessor as many bytes a clock, whatever the memory behind it does, and what takes a
fixed time on the chip takes as many of its clocks. A chip that may draw less power runs its products at a lower clock:
an operation costs what the relative's limit left for it, in proportion to the energy of the process and to the
square of the voltage (M. Horowitz et al., "Low-power digital design", 1994). Graphics memory beside the package draws
its full power all the while: its links never rest. Energy by process: A. Stillmaker, B. Baas,
"Scaling equations for the accurate prediction of CMOS device performance from 180 nm to 7 nm", 2017 (45 nm is 1); below
7 nm and between its processes by the trend of the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hwsim.cost.power import voltage

__all__ = [
    "CLOCKS",
    "CLOCKS_ON_CHIP",
    "DRAWN",
    "DRAWN_BY_MATRIX_UNITS",
    "LIMITED",
    "ON_CHIP",
    "PRODUCTS",
    "ChipFacts",
    "carried",
    "clock_share",
    "memory_power_w",
    "process_energy",
    "reached",
]

_ENERGY = MappingProxyType(
    {65: 1.24, 45: 1.0, 32: 0.66, 28: 0.51, 22: 0.29, 16: 0.17, 14: 0.16, 12: 0.13, 10: 0.12, 8: 0.11, 7: 0.094}
    | {6: 0.09, 5: 0.07, 4: 0.065, 3: 0.055}
)
MEMORY_SHARE = 0.08  # assumption: of the power beyond idle, what products leave to a memory on the package
DRAWN = 0.9
"""Share of its limit that the relative drew in its best products on vector units: of 0.8, 0.9 and 1."""
DRAWN_BY_MATRIX_UNITS = 0.7
"""The same where matrix units run: of 0.6 to 0.9. Both in view of ``benchmarks/transfer.py``."""
_BESIDE = 1e-11 * 8.0  # J a byte: no memory on the package takes 10 pJ a bit
_LARGEST = 256 * 128 / (256 + 128)  # operations a loaded element of the largest tile (hwsim.cost.tiling)
PRODUCTS = ("gemm", "linear", "matmul")
LIMITED = (*PRODUCTS, "conv2d", "conv3d", "attention", "attention_prefill")
"""Kernel families whose operations a power limit slows down."""
ON_CHIP = frozenset({"cuda_graph", "profiler_kernel"})
"""Timings without a host's part."""
CLOCKS = ("gemv_byte", "step")
CLOCKS_ON_CHIP = ("launch", "floor", "row", "col", "key_write", "quantize_row")
"""Constants that are a number of clocks: always, and where no host is timed."""
SHARED_OUT = ("key_write",)
"""Those of them that multiprocessors share: more of these take less time."""
_STEPS = np.linspace(1.0, 0.2, 801)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipFacts:
    """What a data sheet says of a SIMT chip: multiprocessors, clocks, memory, limit; ``process`` as text.

    ``clock_hz`` is that of short kernels, ``matrix_clock_hz`` the one that the peak of products is quoted at;
    ``memory_w`` is what a memory draws whatever the chip does (:func:`memory_power_w`).
    """

    sms: float
    clock_hz: float
    matrix_clock_hz: float
    bandwidth_bytes_per_s: float
    tdp_w: float
    idle_w: float
    voltage_floor: float
    process: str = ""
    memory_w: float = 0.0

    @property
    def room_w(self) -> float:
        """What its limit leaves to products."""
        beyond = self.tdp_w - self.idle_w
        return beyond - max(self.memory_w, MEMORY_SHARE * beyond)


def memory_power_w(name: str, bandwidth_bytes_per_s: float, energy_j_per_byte: float) -> float:
    """What graphics memory draws at any time: as much as its full bandwidth takes; 0 of memory on the package.

    A memory is known by its name, or by an energy that none on the package takes.

    >>> round(memory_power_w("gddr6", 320e9, 60e-12), 1), memory_power_w("hbm", 2e12, 48e-12)
    (19.2, 0.0)
    """
    beside = name.startswith("gddr") or (name.startswith("hbm") and energy_j_per_byte >= _BESIDE)
    return bandwidth_bytes_per_s * energy_j_per_byte if beside else 0.0


def reached(compute: float, starve: float) -> float:
    """Share of the peak that products reach with their largest tile, which may starve the units too.

    >>> reached(0.8, 40.0), round(reached(1.0, 102.4), 3)
    (0.8, 0.833)
    """
    return compute / max(1.0, starve / _LARGEST)


def process_energy(process: str) -> float | None:
    """Energy of an operation relative to 45 nm, or None where the text names no process of the table.

    >>> process_energy("TSMC 12FFN"), process_energy("TSMC N7"), process_energy("somebody's")
    (0.13, 0.094, None)
    """
    found = re.search(r"\d+", process)
    return _ENERGY.get(int(found[0])) if found else None


def carried(name: str, value: float, chip: ChipFacts, relative: ChipFacts, *, on_chip: bool = False) -> float:
    """A constant of the relative on the chip; one that depends on neither chip, or on a host, stays.

    Args:
        name: as a device file has it, e.g. ``cache_speedup``: of a byte from the level-two cache against the memory.
        value: of the relative.
        chip: the chip.
        relative: the chip that was measured.
        on_chip: whether the kernels were timed without a host's part.

    >>> facts = dict(sms=1, matrix_clock_hz=1e9, bandwidth_bytes_per_s=1, tdp_w=1, idle_w=0, voltage_floor=0)
    >>> carried("launch", 2e-6, ChipFacts(clock_hz=1e9, **facts), ChipFacts(clock_hz=2e9, **facts), on_chip=True)
    4e-06
    """
    if name == "cache_speedup":
        each = [one.sms * one.clock_hz / one.bandwidth_bytes_per_s for one in (chip, relative)]
        return max(1.0, value * each[0] / each[1])
    if name in CLOCKS or (on_chip and name in CLOCKS_ON_CHIP):
        shares = relative.sms / chip.sms if name in SHARED_OUT else 1.0
        return value * shares * relative.clock_hz / chip.clock_hz
    return value


def clock_share(
    chip: ChipFacts,
    relative: ChipFacts,
    peaks: tuple[float, float],
    ceiling: float,
    best: float,
    drawn: float = DRAWN,
) -> float:
    """Share of the clock that the power limit leaves a chip in products, at most 1.

    The relative drew most of its limit where its products came nearest to the peak.

    Args:
        chip: the chip.
        relative: the chip whose constants are carried.
        peaks: operations a second of the chip and of the relative.
        ceiling: share of the peak that the kernel reaches where nothing limits its clock.
        best: the largest such share of the relative in the format.
        drawn: share of its limit that the relative drew there.

    >>> facts = dict(sms=1, clock_hz=1e9, matrix_clock_hz=1e9, bandwidth_bytes_per_s=1, idle_w=0, voltage_floor=0)
    >>> round(clock_share(ChipFacts(tdp_w=100, **facts), ChipFacts(tdp_w=800 / 0.9, **facts), (1, 1), 0.8, 0.8), 3)
    0.5
    """
    energies = process_energy(chip.process), process_energy(relative.process)
    scale = 1.0 if None in energies else energies[0] / energies[1]  # type: ignore[operator]
    room = chip.room_w
    if min(room, relative.room_w, *peaks, ceiling, best) <= 0.0:
        return 1.0
    volts = float(voltage(relative.matrix_clock_hz / chip.matrix_clock_hz, chip.voltage_floor))
    needed = drawn * relative.room_w * scale / (best * peaks[1]) / volts**2 * ceiling * peaks[0]
    power = needed * _STEPS * voltage(_STEPS, chip.voltage_floor) ** 2
    within = np.flatnonzero(power <= room * (1.0 + 1e-9))
    return float(_STEPS[within[0]] if within.size else _STEPS[-1])
