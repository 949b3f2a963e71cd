"""Row-wise kernels (softmax, layer norm, RMS norm, pooling) on a SIMT chip.

A block takes a row, so long rows are serial inside a block and few rows leave multiprocessors idle; above about a
thousand columns a row no longer stays in registers and is read again. Source: PyTorch's softmax switches kernel
above 1,024 columns (``dispatch_softmax_forward``); the same knee comes out of fits to measured rows of V100,
A100, P100 and MI100 unasked. Columns broadcast: (1, rows) and (chips, 1) give (chips, rows).

Where a kernel's block is known (``threads``), so are the rows that a chip has in flight: a multiprocessor holds
threads_per_sm / threads of them. A row is then read again from the multiprocessor's own cache as far as its rows lie
there, else from the level-two cache as far as all rows in flight, read and written, lie there, else from DRAM; and
a row takes so many steps of one load a thread, whatever the chip. Occupancy: CUDA C++ Programming Guide, "Hardware
Multithreading"; latency over what is in flight: J. Little, "A proof for the queuing formula L = lambda W", 1961.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.cache import resident_share
from hwsim.cost.roofline import KernelTime, overlap_time_s
from hwsim.cost.streaming import StreamConstants, StreamLimits, rows_in_turn_s, stream_memory_s

__all__ = [
    "RowConstants",
    "RowProblem",
    "again_bytes",
    "extra_pass_bytes",
    "narrowing_time",
    "row_time",
    "threads_a_row",
]

Floats = NDArray[np.float64]
Number = float | Floats

LOAD_BYTES = 16.0  # that a thread loads at once, as PyTorch's vectorized kernels do (``aligned_vector``)
WARP = 32.0  # no block is smaller


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """Columns of row-wise work: its matrix, bytes of one read, all compulsory bytes, most re-reads.

    ``shared_bytes``: those of the compulsory bytes that every row needs; blocks read them side by side.
    ``element_bytes``: of an element that is read.
    """

    rows: Number
    cols: Number
    read_bytes: Number
    moved_bytes: Number
    rereads: Number = 1.0
    shared_bytes: Number = 0.0
    element_bytes: Number = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowConstants(StreamConstants):
    """Constants of row-wise kernels, beside those of streaming.

    ``knee``: columns above which a row is read again; ``extra_pass``: how much of that read is paid.

    ``threads``: most threads that share a row, 0 where they are not known and ``row_s`` and ``col_s`` say how long a
    multiprocessor works on one; where they are, ``extra_pass`` is how often the kernel reads again. ``thread_bytes``:
    of a row that a thread has before a block doubles, 0 where blocks are always full. ``step_s``: time in which every
    thread of a row loads once; ``lead`` and ``tail``: steps that a row takes beside its loads, and that columns cost
    which fill no last step; ``near``: a step's share where its bytes lie in the multiprocessor's own cache.
    ``near_all``, ``near_none``: as ``resident_all``, of the rows of a multiprocessor in that cache; ``flight_all``,
    ``flight_none``: of all rows in flight in the chip's. ``staged``: a row of a multiple of so many columns waits in
    shared memory to be read again, 0: none does.
    """

    knee: Number = 1024.0
    extra_pass: Number = 0.0
    threads: Number = 0.0
    thread_bytes: Number = 0.0
    step_s: Number = 0.0
    lead: Number = 0.0
    tail: Number = 0.0
    near: Number = 1.0
    near_all: Number = 0.2
    near_none: Number = 1.2
    flight_all: Number = 0.5
    flight_none: Number = 2.0
    staged: Number = 0.0


def extra_pass_bytes(
    cols: Number, read_bytes: Number, knee: Number, extra_pass: Number, rereads: Number = 1.0
) -> Floats:
    """Bytes read again because a row is longer than ``knee`` columns; never more than ``rereads`` whole reads.

    >>> float(extra_pass_bytes(1024, 100.0, 1024, 0.5)), float(extra_pass_bytes(1025, 100.0, 1024, 0.5))
    (0.0, 50.0)
    """
    return np.where(np.greater(cols, knee), np.minimum(extra_pass, rereads) * read_bytes, 0.0)


def threads_a_row(row_bytes: Number, constants: RowConstants) -> Floats:
    """Threads of the block that has a row: a power of two in proportion to its bytes, or always the most.

    Source: PyTorch's softmax gives a block half as many threads as a row has loads, rounded up to a power of two
    (``SoftMax_getBlockSize``); its layer norm always four warps.

    >>> kernel = RowConstants(threads=512.0, thread_bytes=32.0)
    >>> [float(threads_a_row(4.0 * cols, kernel)) for cols in (100, 1200, 2049, 9000)]
    [32.0, 256.0, 512.0, 512.0]
    """
    most, each = np.asarray(constants.threads, dtype=np.float64), np.asarray(constants.thread_bytes, dtype=np.float64)
    wanted = np.asarray(row_bytes) / np.where(each > 0.0, each, 1.0)
    doubled = 2.0 ** np.ceil(np.log2(np.maximum(wanted, WARP)))
    return np.where(each > 0.0, np.minimum(doubled, most), most)


@dataclass(frozen=True, slots=True)
class _Flight:
    """Rows that a multiprocessor has at once, their threads, and the shares read again from the two caches."""

    rows: Floats
    threads: Floats
    near: Floats
    held: Floats


def _in_flight(problem: RowProblem, limits: StreamLimits, constants: RowConstants) -> _Flight:
    read = np.asarray(problem.cols * problem.element_bytes, dtype=np.float64)
    moved = np.asarray(problem.moved_bytes - problem.shared_bytes) / np.maximum(1.0, problem.rows)
    threads = np.maximum(1.0, threads_a_row(read, constants))
    rows = np.maximum(1.0, np.floor(limits.threads_per_sm / threads))
    near = resident_share(rows * read, limits.near_bytes, constants.near_all, constants.near_none)
    staged = np.asarray(constants.staged, dtype=np.float64)
    waits = (staged > 0.0) & (np.mod(problem.cols, np.maximum(staged, 1.0)) == 0.0)
    held = resident_share(limits.sms * rows * moved, limits.cache_bytes, constants.flight_all, constants.flight_none)
    return _Flight(rows, threads, np.where(waits, 1.0, near), held)


def _rereads(problem: RowProblem, constants: RowConstants) -> Floats:
    """How often a kernel of known blocks reads a row again: not where it is short, or one pass is all it takes."""
    again = np.greater(problem.cols, constants.knee) & np.greater(problem.rereads, 0.0)
    return np.where(again, np.asarray(constants.extra_pass, dtype=np.float64), 0.0)


def again_bytes(problem: RowProblem, limits: StreamLimits, constants: RowConstants) -> Floats:
    """Bytes that long rows read again beyond the caches that still hold them."""
    again = extra_pass_bytes(problem.cols, problem.read_bytes, constants.knee, constants.extra_pass, problem.rereads)
    if not np.any(np.greater(constants.threads, 0.0)):
        return again
    flight = _in_flight(problem, limits, constants)
    missed = problem.read_bytes * _rereads(problem, constants) * (1.0 - flight.near) * (1.0 - flight.held)
    return np.where(np.greater(constants.threads, 0.0), missed, again)


def _steps_s(problem: RowProblem, limits: StreamLimits, constants: RowConstants) -> Floats:
    """Time of long rows in flight, turn after turn; shorter ones are a warp's, as many at once as there are."""
    flight = _in_flight(problem, limits, constants)
    loads = problem.cols * problem.element_bytes / (LOAD_BYTES * flight.threads)
    steps = loads + np.where(loads % 1.0 > 0.0, constants.tail, 0.0)
    again = _rereads(problem, constants) * (1.0 - flight.near * (1.0 - np.asarray(constants.near)))
    turns = np.ceil(problem.rows / (limits.sms * flight.rows))
    long = np.greater(problem.cols, constants.knee) & np.greater(constants.threads, 0.0)
    return np.where(long, turns * constants.step_s * (constants.lead + steps * (1.0 + again)), 0.0)


def row_time(problem: RowProblem, compute_s: Number, limits: StreamLimits, constants: RowConstants) -> KernelTime:
    """Time of row-wise kernels; ``compute_s`` is their arithmetic at the peak vector rate.

    Few rows draw their own bytes at a part of the bandwidth, and what all of them need at the whole of it: else a
    lone row, which brings a norm's scale and shift as many do, would take longer than many.
    """
    again = again_bytes(problem, limits, constants)
    moved, shared = problem.moved_bytes, problem.shared_bytes
    memory = stream_memory_s(moved - shared + again, moved, problem.rows, limits, constants)
    memory = memory + stream_memory_s(shared, moved, np.inf, limits, constants)
    turns = rows_in_turn_s(problem.rows, problem.cols, limits.sms, constants.row_s, constants.col_s)
    if np.any(np.greater(constants.threads, 0.0)):
        turns = turns + _steps_s(problem, limits, constants)
    compute, memory = np.broadcast_arrays(np.maximum(turns, compute_s / constants.compute), memory)
    kernel = overlap_time_s(constants.floor_s, overlap_time_s(compute, memory, constants.overlap), constants.overlap)
    fixed = np.broadcast_to(np.asarray(constants.launch_s, dtype=np.float64), kernel.shape)
    return KernelTime(fixed_s=fixed, compute_s=compute, memory_s=memory, kernel_s=kernel)


def narrowing_time(
    rows: Number, cols: Number, wide_bytes: Number, narrow_bytes: Number, limits: StreamLimits, constants: RowConstants
) -> KernelTime:
    """Time of the kernel that narrows a matrix for a product in a narrower format (dynamic quantization).

    Row by row, as each row's largest element sets its scale (T. Dettmers et al., "LLM.int8()", 2022, section 2):
    the wide matrix is read, the narrow one written.
    """
    moved = np.asarray(wide_bytes) + narrow_bytes
    problem = RowProblem(rows=rows, cols=cols, read_bytes=wide_bytes, moved_bytes=moved, rereads=0.0)
    return row_time(problem, 0.0, limits, constants)
