"""What the machine that runs hwsim is: cores, clock, vector width, caches, memory; and how fast it moves bytes."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import InputError
from hwsim.units import format_quantity

__all__ = ["Level", "Machine", "copy_bytes_per_s", "machine_document", "this_machine"]

_CPU = Path("/sys/devices/system/cpu")
_INFO = Path("/proc/cpuinfo")
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3, "": 1}
_LEAST_BYTES = 16 * 1024**2
_MOST_BYTES = 512 * 1024**2
_W_A_CORE = 6.0
_CLOCK_HZ = 2.5e9
"""Assumed where the system does not tell its clock."""
_SIMD_BITS = (("avx512f", 512), ("avx2", 256), ("avx", 256), ("sve", 256), ("asimd", 128), ("sse2", 128))


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A cache as all used cores together have it."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A CPU and its memory. ``threads`` are what the BLAS library is allowed; ``told`` names what the system said."""

    title: str
    cores: int
    threads: int
    clock_hz: float
    simd_bits: int
    caches: tuple[Level, ...]
    memory_bytes: int
    told: str


def this_machine() -> Machine:
    """The facts as the operating system gives them; what it does not give is assumed and left out of ``told``."""
    info = _INFO.read_text(encoding="utf-8", errors="replace") if _INFO.is_file() else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    named = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info, re.MULTILINE)
    clock = _clock_hz(info)
    caches = _caches(cores)
    known = ["cores"] + ["clock"] * bool(clock) + ["caches"] * bool(caches) + ["vector width"] * ("flags" in info)
    return Machine(
        title=(named[1].strip() if named else platform.processor()) or platform.machine(),
        cores=cores,
        threads=_threads(cores),
        clock_hz=clock or _CLOCK_HZ,
        simd_bits=_simd_bits(info),
        caches=caches,
        memory_bytes=_memory_bytes(),
        told=", ".join(known),
    )


def copy_bytes_per_s(working_set_bytes: int, least_s: float = 0.05) -> float:
    """Bytes read plus bytes written a second when an array is copied to another; both fill the working set.

    The best of several copies, so that what else the machine does at the moment counts least.

    Raises:
        InputError: the working set is smaller than two elements.
    """
    elements = working_set_bytes // 8
    if elements < 1:
        raise InputError(f"write a working set of at least 8 bytes, not {working_set_bytes}")
    source, target = np.ones(elements, np.float32), np.empty(elements, np.float32)
    copies = max(1, int(1e6 // elements))
    np.copyto(target, source)  # the system hands out the pages of ``target`` now, not while the clock runs
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < least_s or best == float("inf"):
        start = time.perf_counter()
        for _ in range(copies):
            np.copyto(target, source)
        best = min(best, (time.perf_counter() - start) / copies)
    return 8.0 * elements / max(best, 1e-9)


def machine_document(machine: Machine, name: str) -> dict[str, Any]:
    """A device file of the machine but for its software: facts as told, bandwidths measured, the rest assumed."""
    levels = _levels(machine)
    return {
        "schema": "hwsim/device/v1",
        "name": name,
        "title": machine.title,
        "kind": "cpu",
        "preferred_dtype": "fp32",
        "cpu": {
            "cores": machine.cores,
            "clock": format_quantity(machine.clock_hz, "Hz"),
            "simd_bits": machine.simd_bits,
            "fma_ports": 2,
            "threads": machine.threads,
            "source": f"told by the operating system ({sys.platform}): {machine.told or 'nothing'}",
            "assumption": "two ports for fused multiply-adds, as server and desktop cores have; what the system does "
            "not tell is a common value",
        },
        "memory": levels,
        "power": {
            "tdp": format_quantity(3 * _W_A_CORE * machine.cores, "W"),
            "idle": format_quantity(_W_A_CORE * machine.cores / 2, "W"),
            "energy_per_op": {"fp64": "30 pJ", "fp32": "15 pJ"},
            "assumption": "nothing of power was measured: typical of server cores, read energies as orders of "
            "magnitude",
        },
    }


def _levels(machine: Machine) -> list[dict[str, Any]]:
    """Main memory and those caches that are faster than what lies behind them."""
    last = _main_memory_set_bytes(machine)
    rate = copy_bytes_per_s(last)
    measured = "measured here: a copy by NumPy on one thread, working set {}"
    rows = [
        {
            "name": "dram",
            "capacity": format_quantity(machine.memory_bytes, "B"),
            "bandwidth": format_quantity(rate, "B/s"),
            "energy": "15 pJ/bit",
            "source": measured.format(format_quantity(last, "B")),
            "assumption": "energy: order of magnitude of public tables for DDR4 and DDR5",
        }
    ]
    for level in machine.caches:
        size = min(level.size_bytes // max(2, machine.cores), last)
        faster = copy_bytes_per_s(size)
        if faster > 1.2 * rate:
            rate = faster
            rows.append(
                {
                    "name": level.name,
                    "capacity": format_quantity(level.size_bytes, "B"),
                    "bandwidth": format_quantity(rate, "B/s"),
                    "energy": "1 pJ/bit",
                    "source": measured.format(format_quantity(size, "B")),
                    "assumption": "energy: SRAM and wires",
                }
            )
    return rows


def _main_memory_set_bytes(machine: Machine) -> int:
    """A working set that no cache holds, within an eighth of the memory and half a GiB."""
    largest = max((level.size_bytes for level in machine.caches), default=0)
    return int(min(max(4 * largest, 8 * _LEAST_BYTES), machine.memory_bytes // 8, _MOST_BYTES))


def _threads(cores: int) -> int:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value):
            return min(int(value), cores)
    return cores


def _clock_hz(info: str) -> float:
    fastest = _CPU / "cpu0" / "cpufreq" / "cpuinfo_max_freq"
    if fastest.is_file():
        return float(fastest.read_text()) * 1e3
    told = [float(value) for value in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", info, re.MULTILINE)]
    return max(told, default=0.0) * 1e6


def _simd_bits(info: str) -> int:
    flags = set(info.split())
    return next((bits for flag, bits in _SIMD_BITS if flag in flags), 128)


def _caches(cores: int) -> tuple[Level, ...]:
    """Levels above the first, largest first; a level private to a core counts once a core."""
    found: dict[str, int] = {}
    for folder in sorted((_CPU / "cpu0" / "cache").glob("index*")):
        level, kind = ((folder / name).read_text().strip() for name in ("level", "type"))
        size = re.fullmatch(r"(\d+)([KMG]?)", (folder / "size").read_text().strip())
        if kind == "Instruction" or level == "1" or not size:
            continue
        shared = len(_cpu_list((folder / "shared_cpu_list").read_text().strip()))
        found[f"l{level}"] = int(size[1]) * _UNITS[size[2]] * max(1, cores // max(1, shared))
    return tuple(Level(name=name, size_bytes=size) for name, size in sorted(found.items(), reverse=True))


def _cpu_list(text: str) -> list[int]:
    """The numbers in a list such as '0-3,8'."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 1024**3
