"""Row-wise kernels (softmax, layer norm, RMS norm, pooling) on a SIMT chip.

A block takes a row, so long rows are serial inside a block and few rows leave multiprocessors idle; above about a
thousand columns a row no longer stays in registers and is read again. Source: PyTorch's softmax switches kernel
above 1,024 columns (``dispatch_softmax_forward``); the same knee comes out of fits to measured rows of V100,
A100, P100 and MI100 unasked. Columns broadcast: (1, rows) and (chips, 1) give (chips, rows).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.roofline import KernelTime, overlap_time_s
from hwsim.cost.streaming import StreamConstants, StreamLimits, rows_in_turn_s, stream_memory_s

__all__ = ["RowConstants", "RowProblem", "extra_pass_bytes", "narrowing_time", "row_time"]

Floats = NDArray[np.float64]
Number = float | Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """Columns of row-wise work: its matrix, bytes of one read, all compulsory bytes, most re-reads.

    ``shared_bytes``: those of the compulsory bytes that every row needs; blocks read them side by side.
    """

    rows: Number
    cols: Number
    read_bytes: Number
    moved_bytes: Number
    rereads: Number = 1.0
    shared_bytes: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RowConstants(StreamConstants):
    """Constants of row-wise kernels, beside those of streaming.

    ``knee``: columns above which a row is read again; ``extra_pass``: how much of that read is paid.
    """

    knee: Number = 1024.0
    extra_pass: Number = 0.0


def extra_pass_bytes(
    cols: Number, read_bytes: Number, knee: Number, extra_pass: Number, rereads: Number = 1.0
) -> Floats:
    """Bytes read again because a row is longer than ``knee`` columns; never more than ``rereads`` whole reads.

    >>> float(extra_pass_bytes(1024, 100.0, 1024, 0.5)), float(extra_pass_bytes(1025, 100.0, 1024, 0.5))
    (0.0, 50.0)
    """
    return np.where(np.greater(cols, knee), np.minimum(extra_pass, rereads) * read_bytes, 0.0)


def row_time(problem: RowProblem, compute_s: Number, limits: StreamLimits, constants: RowConstants) -> KernelTime:
    """Time of row-wise kernels; ``compute_s`` is their arithmetic at the peak vector rate.

    Few rows draw their own bytes at a part of the bandwidth, and what all of them need at the whole of it: else a
    lone row, which brings a norm's scale and shift as many do, would take longer than many.
    """
    again = extra_pass_bytes(problem.cols, problem.read_bytes, constants.knee, constants.extra_pass, problem.rereads)
    moved, shared = problem.moved_bytes, problem.shared_bytes
    memory = stream_memory_s(moved - shared + again, moved, problem.rows, limits, constants)
    memory = memory + stream_memory_s(shared, moved, np.inf, limits, constants)
    turns = rows_in_turn_s(problem.rows, problem.cols, limits.sms, constants.row_s, constants.col_s)
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
