"""Cycles of a matrix product on a systolic array: exact fold counts, and how arrays share one product.

Matrix sizes are ``m`` (output rows; pixels of a convolution), ``n`` (output columns; filters), ``k`` (the
summed dimension; the window). An array has ``rows`` x ``cols`` PEs. Which sizes lie along rows, columns and
time depends on the operand that stays in the PEs:

    os (output)  rows m, cols n, time k      ws (weight)  rows k, cols n, time m      is (input)  rows k, cols m, time n

Sources: A. Samajdar et al., "A systematic methodology for characterizing scalability of DNN accelerators using
SCALE-Sim", 2020, for folds that never overlap (the tool prints the zero-based last cycle: one less than the
count); H. Ham et al., "ONNXim: a fast, cycle-level multi-core NPU simulator", 2024, for double-buffered
weights. Every argument broadcasts; counts stay exact in float64 below 2^53.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.scratchpad import feed_bytes
from hwsim.errors import InputError

__all__ = [
    "DATAFLOWS",
    "ISSUE_CYCLES",
    "Dataflow",
    "Geometry",
    "array_activity",
    "array_axes",
    "array_shares",
    "dealt_time_s",
    "fold_count",
    "last_tile_cycles",
    "layerwise_sparse_k",
    "mapping_efficiency",
    "non_overlapped_cycles",
    "packed_groups",
    "pipelined_cycles",
    "rowwise_sparse_k",
    "share_cycles",
    "systolic_cycles",
]

Floats = NDArray[np.float64]
Number = Floats | float
Dataflow = Literal["os", "ws", "is"]
DATAFLOWS: tuple[Dataflow, ...] = get_args(Dataflow)

# The least interval between two tiles of inputs through an array whose weights stay (ONNXim, SystolicWS).
ISSUE_CYCLES = 4.0


# Outputs a core finishes before it moves on, each way: 256 x 256 sums of 4 bytes are the 256 KiB of partial sums of a
# large core (Ascend's L0C; H. Liao et al., "Ascend", HPCA 2021, table 5).
FEED_BLOCK = 256.0


@dataclass(frozen=True, slots=True)
class Geometry:
    """Equal arrays: how many, their size, MACs a cell and cycle, dataflow, double-buffered weights or not."""

    arrays: Number
    rows: Number
    cols: Number
    lanes: Number
    dataflow: Dataflow
    pipelined: bool = True


def _ceil_div(a: Number, b: Number) -> Floats:
    return np.ceil(np.divide(a, b))


def array_axes(m: Number, n: Number, k: Number, dataflow: Dataflow) -> tuple[Floats, Floats, Floats]:
    """The sizes that lie along (rows, cols, time) of an array."""
    m, n, k = np.asarray(m, float), np.asarray(n, float), np.asarray(k, float)
    if dataflow == "os":
        return m, n, k
    return (k, n, m) if dataflow == "ws" else (k, m, n)


def fold_count(along_rows: Number, along_cols: Number, rows: Number, cols: Number) -> Floats:
    """Passes of the array over the problem: ceil(along_rows / rows) ceil(along_cols / cols)."""
    return _ceil_div(along_rows, rows) * _ceil_div(along_cols, cols)


def non_overlapped_cycles(
    m: Number,
    n: Number,
    k: Number,
    rows: Number,
    cols: Number,
    dataflow: Dataflow,
    batch: Number = 1.0,
) -> Floats:
    """Cycles of ``batch`` products when each fold fills, runs and drains before the next begins.

    A fold takes ``rows + cols + k - 2`` (os), ``2 rows + cols + m - 2`` (ws), ``2 rows + cols + n - 2`` (is): with
    a stationary operand, ``rows`` cycles load it. Equal to SCALE-Sim's printed count plus one.

    >>> float(non_overlapped_cycles(4, 4, 4, 4, 4, "os"))
    10.0
    """
    along_rows, along_cols, time = array_axes(m, n, k, dataflow)
    load = np.multiply(2.0 if dataflow != "os" else 1.0, rows)
    return batch * fold_count(along_rows, along_cols, rows, cols) * (load + cols + time - 2.0)


def pipelined_cycles(
    m: Number,
    n: Number,
    k: Number,
    rows: Number,
    cols: Number,
    dataflow: Dataflow,
    batch: Number = 1.0,
    drain_rows: Number = 1.0,
) -> Floats:
    """Cycles of ``batch`` products when a fold enters while the last one drains, its operand loaded meanwhile.

    Stationary weights or inputs: ``(2 rows - 1) + (folds - 1) max(time, rows) + (rows + cols - 2 + max(time, 4))``: a
    new fold cannot start before its operand has been shifted in (ONNXim; TPU v1 does the same with its second
    64 KiB tile, Jouppi et al. 2017). Output stationary: outputs leave ``drain_rows`` rows a cycle while the next
    fold's operands enter, so a fold issues every ``max(k, rows / drain_rows)`` cycles and the array fills once.

    >>> float(pipelined_cycles(256, 256, 512, 256, 256, "ws"))
    1533.0
    """
    along_rows, along_cols, time = array_axes(m, n, k, dataflow)
    folds = batch * fold_count(along_rows, along_cols, rows, cols)
    preload = np.multiply(2.0 if dataflow != "os" else 0.0, rows) - (1.0 if dataflow != "os" else 0.0)
    interval = np.divide(rows, drain_rows) if dataflow == "os" else rows
    last = np.add(rows, cols) - 2.0 + np.maximum(time, ISSUE_CYCLES)
    return preload + (folds - 1.0) * np.maximum(time, interval) + last


def last_tile_cycles(steps: Number, rows: Number, cols: Number) -> Floats:
    """Cycles of the last stationary tile after it has arrived: shifted in, streamed past, drained.

    >>> float(last_tile_cycles(64, 256, 256))
    830.0
    """
    cycles: Floats = np.asarray(rows, float) + steps + rows + cols - 2.0
    return cycles


def array_activity(steps: Number, rows: Number, load: Number) -> tuple[Floats, Floats, Floats]:
    """(active, shift, stall) cycles of one tile among many that are loaded, shifted in and used in a row.

    A tile takes the longest of its ``steps`` of inputs, its ``rows`` to shift in and the cycles to ``load`` it. In what
    its steps leave, it is shifted in; before that the array waits for it. These are rows of table 3 of N. Jouppi et
    al., 2017: MLP0 has 200 inputs a tile and a tile every 1,349 cycles.

    >>> [float(cycles) for cycles in array_activity(200, 256, 1349)]
    [200.0, 256.0, 893.0]
    """
    interval = np.maximum(np.maximum(steps, rows), load)
    idle = interval - steps
    shift = np.minimum(idle, rows)
    return np.asarray(steps, float), shift, idle - shift


def mapping_efficiency(m: Number, n: Number, k: Number, rows: Number, cols: Number, dataflow: Dataflow) -> Floats:
    """Share of PEs given work, 0..1, over all folds: partial folds leave rows and columns empty.

    >>> float(mapping_efficiency(8, 4, 100, 8, 8, "os"))
    0.5
    """
    along_rows, along_cols, _ = array_axes(m, n, k, dataflow)
    return along_rows * along_cols / (fold_count(along_rows, along_cols, rows, cols) * rows * cols)


def layerwise_sparse_k(k: Number, kept: Number, group: Number) -> Floats:
    """Summed length left when ``kept`` of each ``group`` weights are stored: ceil(k / group) kept."""
    return _ceil_div(k, group) * kept


def rowwise_sparse_k(k: Number, block: Number) -> Floats:
    """Summed length left by SCALE-Sim's row-wise mapping of blocks: ceil(k / (2 block)) block, about half."""
    return _ceil_div(k, np.multiply(2.0, block)) * block


def array_shares(m: Number, n: Number, batch: Number, arrays: Number) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Ways to deal ``batch`` products out to equal arrays: (m of a share, n of a share, shares in turn).

    Arrays are split between the batch first, then between output rows (1, 2, 4, ... parts) and output columns;
    k is never split. A part that does not divide costs its ceiling.

    >>> [tuple(int(x) for x in share) for share in array_shares(100, 60, 1, 4)]
    [(100, 15, 1), (50, 30, 1), (25, 60, 1)]
    """
    together = np.minimum(arrays, batch)
    each = np.maximum(1.0, np.floor(np.divide(arrays, together)))
    in_turn = _ceil_div(batch, together)
    most = float(np.max(each))
    parts = 1.0
    while parts < 2.0 * most:
        by_rows = np.minimum(parts, each)
        by_cols = np.maximum(1.0, np.floor(each / by_rows))
        yield _ceil_div(m, by_rows), _ceil_div(n, by_cols), in_turn
        parts *= 2.0


def share_cycles(
    m: Number,
    n: Number,
    k: Number,
    rows: Number,
    cols: Number,
    lanes: Number,
    dataflow: Dataflow,
    in_turn: Number,
    *,
    pipelined: bool = True,
) -> Floats:
    """Cycles of one array's share, ``in_turn`` products of equal size.

    Each PE multiplies ``lanes`` pairs a cycle and sums them (a dot product along k), and results leave that many
    rows a cycle; below one, a pair takes 1 / lanes cycles (TPU v1: half speed with one 16-bit operand).
    """
    dot = np.maximum(1.0, lanes)
    inner_k = _ceil_div(k, dot)
    slow: Floats = np.maximum(1.0, 1.0 / np.asarray(lanes, float))
    if pipelined:
        return pipelined_cycles(m, n, inner_k, rows, cols, dataflow, in_turn, dot) * slow
    return non_overlapped_cycles(m, n, inner_k, rows, cols, dataflow, in_turn) * slow


def dealt_time_s(
    m: Number,
    n: Number,
    k: Number,
    batch: Number,
    geometry: Geometry,
    clock_hz: Number,
    a_row_bytes: Number = 0.0,
    b_col_bytes: Number = 0.0,
    port_bytes_per_s: Number = np.inf,
) -> Floats:
    """Seconds of the slowest array's share, the best of several splits, fed from a shared scratchpad.

    A share takes its cycles, or longer if its operands (``a_row_bytes`` for a row of A, ``b_col_bytes`` for a column
    of B, taken in blocks of 256 x 256 outputs) come through a port of ``port_bytes_per_s`` an array.
    """
    best: Floats | None = None
    for rows, cols, in_turn in array_shares(m, n, batch, geometry.arrays):
        cycles = share_cycles(
            rows,
            cols,
            k,
            geometry.rows,
            geometry.cols,
            geometry.lanes,
            geometry.dataflow,
            in_turn,
            pipelined=geometry.pipelined,
        )
        fed = in_turn * feed_bytes(a_row_bytes * rows, b_col_bytes * cols, rows, cols, FEED_BLOCK)
        time = np.maximum(cycles / clock_hz, fed / port_bytes_per_s)
        best = time if best is None else np.minimum(best, time)
    assert best is not None
    return best


def packed_groups(groups: Number, channels: Number, tile: Number) -> Floats:
    """Groups of a convolution that share one tile of input channels, their weights block-diagonal in it.

    An array that takes 32 channels at a time runs eight groups of four channels in one pass, at 1/8 of its rate.
    Depthwise filters sum over no channels and are not packed.

    >>> [float(packed_groups(64, channels, 32)) for channels in (1, 4, 32, 64)]
    [1.0, 8.0, 1.0, 1.0]
    """
    fit = np.where(np.greater(channels, 1.0), np.floor(np.divide(tile, np.maximum(channels, 1.0))), 1.0)
    return np.clip(fit, 1.0, np.maximum(groups, 1.0))


def systolic_cycles(
    *,
    m: int,
    n: int,
    k: int,
    rows: int,
    cols: int,
    dataflow: str = "ws",
    sparsity: tuple[int, int] | None = None,
    pipelined: bool = False,
) -> int:
    """The exact number of cycles of one product on one array.

    Args:
        m: Output rows (pixels of a convolution).
        n: Output columns (filters).
        k: Summed length (the window).
        rows: Rows of PEs.
        cols: Columns of PEs.
        dataflow: ``os``, ``ws`` or ``is``: the operand that stays in the PEs.
        sparsity: ``(n, m)``: n of every m weights along k are stored, the rest skipped.
        pipelined: Whether the next fold's operand loads while this fold runs.

    Raises:
        InputError: a size below one or not whole, an unknown dataflow, or a sparsity not in 1..m of m.

    >>> systolic_cycles(m=4, n=4, k=4, rows=4, cols=4, dataflow="os")
    10
    """
    for name, value in (("m", m), ("n", n), ("k", k), ("rows", rows), ("cols", cols)):
        if not _whole(value) or value < 1:
            raise InputError(f"systolic_cycles: {name} is {value!r}; write a whole number of at least 1")
    if dataflow not in DATAFLOWS:
        raise InputError(f"systolic_cycles: no dataflow '{dataflow}'; write one of {', '.join(DATAFLOWS)}")
    m, n, k, rows, cols = int(m), int(n), int(k), int(rows), int(cols)
    if sparsity is not None:
        k = _sparse_length(k, sparsity)
    along_rows, along_cols, time = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    folds = -(-along_rows // rows) * -(-along_cols // cols)
    stays = dataflow != "os"
    if not pipelined:
        return folds * ((2 if stays else 1) * rows + cols + time - 2)
    preload = 2 * rows - 1 if stays else 0
    return preload + (folds - 1) * max(time, rows) + rows + cols - 2 + max(time, int(ISSUE_CYCLES))


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _sparse_length(k: int, sparsity: object) -> int:
    if not isinstance(sparsity, tuple | list) or len(sparsity) != 2 or not all(_whole(part) for part in sparsity):
        raise InputError(f"systolic_cycles: sparsity is {sparsity!r}; write (n, m) in whole numbers, such as (2, 4)")
    kept, group = (int(part) for part in sparsity)
    if not 1 <= kept <= group:
        raise InputError(f"systolic_cycles: {kept} of every {group} weights cannot be kept; write 1 <= n <= m")
    return -(-k // group) * kept
