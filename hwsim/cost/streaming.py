"""Element-wise kernels and copies on a SIMT chip: bound by bytes, or by a floor when they are small.

    t = launch + (floor^p + max(compute, memory)^p)^(1/p)

Kernels that give a row to a block (a gated activation, a rotation of positions) work through it in turn, so few long
rows take their own time: vLLM's ``act_and_mul_kernel`` has a block of up to 1,024 threads a token. The time of the
turns and of the bytes join as sqrt(turns^2 + memory^2).
Sources: the roofline (Williams 2009) with the cache and saturation terms of :mod:`hwsim.cost.cache` and
:mod:`hwsim.cost.occupancy`; the floor of a small kernel joined by a p-norm fits measured PyTorch kernels on six
GPUs (``benchmarks/fit_gpu.py``). Columns broadcast: (1, rows) and (chips, 1) give (chips, rows).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.cache import mean_s_per_byte, resident_share
from hwsim.cost.roofline import KernelTime, overlap_time_s

__all__ = [
    "ELEMENTS_PER_BLOCK",
    "StreamConstants",
    "StreamLimits",
    "rows_in_turn_s",
    "stream_memory_s",
    "stream_time",
]

Floats = NDArray[np.float64]
Number = float | Floats

THREADS_PER_ROW = 1024  # of a kernel that gives a row to a block
ELEMENTS_PER_BLOCK = 1024  # 256 threads of four elements each, as PyTorch's vectorized element-wise kernel has


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What the chip can do, each a number or (chips, 1); ``near_bytes`` is a multiprocessor's own cache."""

    sms: Number
    bandwidth_bytes_per_s: Number
    cache_bytes: Number
    threads_per_sm: Number = 1024.0
    near_bytes: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConstants:
    """How a stack's element-wise kernels drive the chip, each a number or (chips, 1).

    ``memory``: ceiling against the DRAM bandwidth, at most 1. ``compute``: ceiling of the vector rate. ``floor_s``:
    least time of a kernel beside its launch. ``saturation``: blocks a multiprocessor needs for the full bandwidth.
    ``cache_speedup``, ``resident_all``, ``resident_none``: as in :mod:`hwsim.cost.cache`. ``overlap``: the p-norm.
    ``row_s``: a block's fixed time a row; ``col_s``: its time for each column.
    """

    launch_s: Number = 0.0
    floor_s: Number = 0.0
    memory: Number = 1.0
    compute: Number = 1.0
    saturation: Number = 1e-9
    cache_speedup: Number = 1.0
    resident_all: Number = 0.8
    resident_none: Number = 1.0
    overlap: Number = np.inf
    row_s: Number = 0.0
    col_s: Number = 0.0


def rows_in_turn_s(rows: Number, cols: Number, sms: Number, row_s: Number, col_s: Number) -> Floats:
    """Time when each multiprocessor works through its rows one after the other; a partial turn costs a whole one.

    >>> float(rows_in_turn_s(rows=11, cols=100, sms=10, row_s=1.0, col_s=0.01))
    4.0
    """
    return np.asarray(np.ceil(rows / np.asarray(sms, dtype=np.float64)) * (row_s + cols * np.asarray(col_s)))


def stream_memory_s(
    moved_bytes: Number, working_set_bytes: Number, blocks: Number, limits: StreamLimits, constants: StreamConstants
) -> Floats:
    """Time to move bytes of which some lie in the cache, drawn by so many blocks."""
    resident = resident_share(working_set_bytes, limits.cache_bytes, constants.resident_all, constants.resident_none)
    per_byte = mean_s_per_byte(resident, constants.memory * limits.bandwidth_bytes_per_s, constants.cache_speedup)
    share = np.minimum(1.0, blocks / (limits.sms * constants.saturation))
    return np.asarray(moved_bytes * per_byte / share, dtype=np.float64)


def stream_time(
    moved_bytes: Number,
    elements: Number,
    compute_s: Number,
    limits: StreamLimits,
    constants: StreamConstants,
    cols: Number = 0.0,
) -> KernelTime:
    """Time of element-wise kernels that move ``moved_bytes``; ``compute_s`` is their arithmetic at peak.

    ``cols`` are the elements of a row where they are known (else 0): rows may be worked through in turn.

    >>> chip = StreamLimits(sms=10, bandwidth_bytes_per_s=1e9, cache_bytes=0)
    >>> float(stream_time(1e6, 1e5, 0.0, chip, StreamConstants(memory=0.5, launch_s=1e-3)).time_s)
    0.003
    """
    memory = stream_memory_s(moved_bytes, moved_bytes, elements / ELEMENTS_PER_BLOCK, limits, constants)
    rows = np.where(np.greater(cols, 0.0), elements / np.maximum(1.0, cols), 0.0)
    at_once = limits.sms * np.maximum(1.0, np.floor_divide(limits.threads_per_sm, THREADS_PER_ROW))
    turns = rows_in_turn_s(rows, cols, at_once, constants.row_s, constants.col_s)
    compute, memory = np.broadcast_arrays(compute_s / constants.compute, np.hypot(turns, memory))
    kernel = overlap_time_s(constants.floor_s, np.maximum(compute, memory), constants.overlap)
    fixed = np.broadcast_to(np.asarray(constants.launch_s, dtype=np.float64), kernel.shape)
    return KernelTime(fixed_s=fixed, compute_s=compute, memory_s=memory, kernel_s=kernel)
