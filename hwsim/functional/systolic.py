"""A systolic array stepped cycle by cycle: the product and the cycles it takes, neither from a formula.

Operands move from PE to neighbouring PE once a cycle (:mod:`hwsim.functional.pe_array`); a sequencer decides what
enters next. Without ``pipelined`` a fold starts when the one before has left the array. With it

- a stationary tile (``ws``, ``is``) is read into a staging buffer, a row a cycle, first row first, and shifted into
  the array last row first, so the first fold starts after rows - 1 cycles of reading and ``rows`` of shifting. Two
  tiles are staged and the array has two planes, so later tiles are read and shifted while the array works: a fold
  starts every max(steps, rows) cycles (H. Ham et al., ONNXim, 2024, and Gemmini have the same stages);
- finished sums (``os``) leave a row a cycle while the next fold works.

Zero operands pass through like all others, because neighbours march in step: skipping them saves multiplications, not
cycles. N:M sparsity saves cycles, because the stored weights of a column are packed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.cost.systolic import DATAFLOWS, ISSUE_CYCLES
from hwsim.errors import InputError, ShapeError
from hwsim.functional.pe_array import BUBBLE, NOTHING, Operands, OutputArray, StationaryArray

__all__ = ["IDLE", "LOADING", "MULTIPLYING", "SystolicRun", "step_systolic"]

IDLE, LOADING, MULTIPLYING = 0, 1, 2
"""What a PE does, as bits: an entry of ``SystolicRun.frames`` may be LOADING + MULTIPLYING."""

_STAGED = 2  # tiles the staging buffer holds: one is read while one is shifted out
_ISSUE_CYCLES = int(ISSUE_CYCLES)  # the slot of a last fold that is shorter is filled with bubbles


@dataclass(frozen=True, slots=True, kw_only=True)
class SystolicRun:
    """What a stepped array did.

    ``cycles`` end with the last multiplication (or the slot of a short last fold); ``drain_cycles`` are those until the
    last finished sum has left an output-stationary array. ``macs`` counts multiplications of operands that exist,
    ``skipped`` those among them with a zero. ``frames`` (cycles, rows, cols) says what each PE did, if watched.
    """

    product: NDArray[np.int64]
    cycles: int
    drain_cycles: int
    folds: int
    macs: int
    skipped: int
    frames: NDArray[np.int8]

    @property
    def utilization(self) -> float:
        """Multiplications of existing operands a PE and cycle, 0..1 (zeros that are not stored do not count)."""
        _, rows, cols = self.frames.shape
        return float(self.macs / (self.cycles * rows * cols))


def step_systolic(
    a: ArrayLike,
    b: ArrayLike,
    *,
    rows: int,
    cols: int,
    dataflow: str = "ws",
    pipelined: bool = False,
    sparsity: tuple[int, int] | None = None,
    watch: bool = False,
) -> SystolicRun:
    """Multiply integer matrices ``a`` (m, k) and ``b`` (k, n) on an array of ``rows`` x ``cols`` PEs.

    Args:
        a: The inputs, (m, k).
        b: The weights, (k, n).
        rows: Rows of PEs.
        cols: Columns of PEs.
        dataflow: ``os``, ``ws`` or ``is``: the operand that stays in the PEs.
        pipelined: Whether the next fold is prepared while one runs.
        sparsity: ``(n, m)``: at most n of every m weights along k are not zero; only n are stored.
        watch: Whether to keep what each PE did in each cycle.

    Raises:
        ShapeError: the matrices do not fit each other or are empty.
        InputError: an operand that is not whole, an unknown dataflow, a size below one, weights denser than said.

    >>> run = step_systolic([[1, 2], [3, 4]], [[5, 6], [7, 8]], rows=2, cols=2, dataflow="os")
    >>> run.product.tolist(), run.cycles
    ([[19, 22], [43, 50]], 4)
    """
    left, right = _matrix(a, "a"), _matrix(b, "b")
    if left.shape[1] != right.shape[0]:
        raise ShapeError(f"step_systolic: a is {left.shape} and b is {right.shape}; a needs as many columns as b rows")
    if dataflow not in DATAFLOWS:
        raise InputError(f"step_systolic: no dataflow '{dataflow}'; write one of {', '.join(DATAFLOWS)}")
    if rows < 1 or cols < 1:
        raise InputError(f"step_systolic: an array of {rows} x {cols} PEs; write at least 1 x 1")
    lanes, weights = _packed(left, right, sparsity or (1, 1))
    if dataflow == "os":
        return _output_stationary(lanes, weights, rows, cols, pipelined, watch)
    # Inputs that stay are the same array with the roles of the operands exchanged: C^T = B^T A^T.
    still, moving = (weights, lanes) if dataflow == "ws" else (lanes, weights)
    return _stationary(still, moving, rows, cols, pipelined, watch, dataflow == "ws")


def _matrix(values: ArrayLike, name: str) -> Operands:
    array = np.asarray(values)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(f"step_systolic: {name} has shape {array.shape}; write a matrix of at least 1 x 1")
    if not np.issubdtype(array.dtype, np.integer):
        raise InputError(f"step_systolic: {name} is {array.dtype}; the array multiplies integers, so round it first")
    return array.astype(np.int64)


def _packed(a: Operands, b: Operands, sparsity: tuple[int, int]) -> tuple[Operands, Operands]:
    """(lanes, weights) with k packed: (m, k', lanes) and (n, k', 2), k' = ceil(k / group) kept."""
    kept, group = sparsity
    if not 1 <= kept <= group:
        raise InputError(f"step_systolic: {kept} of every {group} weights cannot be kept; write 1 <= n <= m")
    groups = math.ceil(a.shape[1] / group)
    padding = groups * group - a.shape[1]
    lanes = np.pad(a, ((0, 0), (0, padding))).reshape(len(a), groups, group)
    full = np.pad(b, ((0, padding), (0, 0))).T.reshape(b.shape[1], groups, group)
    dense = int((full != 0).sum(-1).max())
    if dense > kept:
        raise InputError(f"step_systolic: a group of {group} weights has {dense} that are not zero; prune to {kept}")
    order = np.argsort(full == 0, axis=-1, kind="stable")[..., :kept]
    weights = np.stack([np.take_along_axis(full, order, -1), order], axis=-1)
    return np.repeat(lanes, kept, axis=1), weights.reshape(b.shape[1], groups * kept, 2)


def _tiles(operand: Operands, across: int, along: int) -> Operands:
    """Blocks (blocks across, blocks along, across, along, values) of an operand, padded with zeros."""
    pads = [(0, -operand.shape[0] % across), (0, -operand.shape[1] % along), (0, 0)]
    padded = np.pad(operand, pads)
    shape = (padded.shape[0] // across, across, padded.shape[1] // along, along, operand.shape[2])
    return padded.reshape(shape).transpose(0, 2, 1, 3, 4)


class _Watch:
    """Counts what PEs do, and keeps pictures of it if asked."""

    def __init__(self, array: StationaryArray | OutputArray, real: NDArray[np.bool_], keep: bool) -> None:
        self._array, self._real, self._keep = array, real, keep
        self.macs = self.skipped = 0
        self._frames: list[NDArray[np.int8]] = []

    def look(self) -> None:
        """Take this cycle into account; ``real`` (folds, rows, cols) are PEs that hold operands, not padding."""
        array = self._array
        fold = np.maximum(array.tags, 0) // array.length
        place = np.minimum(fold, array.folds - 1)
        used = array.busy & self._real[place, np.arange(array.rows)[:, None], np.arange(array.cols)]
        self.macs += int(used.sum())
        self.skipped += int((used & array.zeros()).sum())
        if self._keep:
            self._frames.append((used * MULTIPLYING + array.loading * LOADING).astype(np.int8))

    @property
    def frames(self) -> NDArray[np.int8]:
        """(cycles, rows, cols); no cycles where nobody asked."""
        empty = np.zeros((0, self._array.rows, self._array.cols), np.int8)
        return np.stack(self._frames) if self._frames else empty


def _real(rows: int, cols: int, used_rows: int, used_cols: int) -> NDArray[np.bool_]:
    """Which PEs hold operands, (row blocks, column blocks, rows, cols)."""
    along_rows = (np.arange(used_rows + -used_rows % rows) < used_rows).reshape(-1, 1, rows, 1)
    along_cols = (np.arange(used_cols + -used_cols % cols) < used_cols).reshape(1, -1, 1, cols)
    return np.asarray(along_rows & along_cols)


def _stationary(
    still: Operands, moving: Operands, rows: int, cols: int, pipelined: bool, watch: bool, weights_stay: bool
) -> SystolicRun:
    """``still`` (cols of all folds, k', values) stays, ``moving`` (steps, k', values) streams past."""
    tiles = _tiles(still, cols, rows)
    col_blocks, row_blocks = tiles.shape[:2]
    stationary = tiles.transpose(0, 1, 3, 2, 4).reshape(-1, rows, cols, still.shape[2])
    streams = _tiles(moving, len(moving), rows)[0]
    streams = np.tile(streams, (col_blocks, 1, 1, 1))
    array = StationaryArray(stationary, streams, weights_stay=weights_stay)
    real = _real(rows, cols, still.shape[1], still.shape[0]).transpose(1, 0, 2, 3).reshape(-1, rows, cols)
    seen = _Watch(array, real, watch)
    sequencer = _Staged(array.folds, array.length, rows) if pipelined else _Apart(array.folds, array.length, rows)
    cycle = 0
    while not (sequencer.finished and _emptied(array)):
        issue, shift = sequencer.next(cycle, idle=_emptied(array))
        array.step(issue, shift)
        seen.look()
        cycle += 1
    sums = array.outputs.reshape(col_blocks, row_blocks, len(moving), cols).sum(axis=1)
    wide = sums.transpose(1, 0, 2).reshape(len(moving), -1)[:, : still.shape[0]]
    product = wide if weights_stay else wide.T
    return _report(product, cycle, 0, array.folds, seen)


def _emptied(array: StationaryArray | OutputArray) -> bool:
    """Whether nothing is on its way: the last slot, if any, was at the last PE in this cycle."""
    slots = array.slots
    return bool(slots.sum() == slots[-1, -1])


def _report(product: Operands, cycles: int, drain: int, folds: int, seen: _Watch) -> SystolicRun:
    return SystolicRun(
        product=np.ascontiguousarray(product),
        cycles=cycles,
        drain_cycles=drain,
        folds=folds,
        macs=seen.macs,
        skipped=seen.skipped,
        frames=seen.frames,
    )


class _Apart:
    """Sequencer of folds that never overlap: shift a tile in, stream, wait until the array is empty."""

    def __init__(self, folds: int, length: int, rows: int) -> None:
        self._folds, self._length, self._rows = folds, length, rows
        self._fold = -1
        self._at = rows + length

    @property
    def finished(self) -> bool:
        """Whether everything has entered the array."""
        return self._fold == self._folds - 1 and self._at >= self._rows + self._length

    def next(self, cycle: int, *, idle: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """((tag, fold) to issue, (step, fold) to shift) in this cycle."""
        if self._at >= self._rows + self._length and idle:
            self._fold, self._at = self._fold + 1, 0
        at, fold = self._at, self._fold
        self._at += 1
        step = at - self._rows
        issue = (fold * self._length + step, fold) if 0 <= step < self._length else (NOTHING, 0)
        return issue, ((at, fold) if at < self._rows else (NOTHING, 0))


class _Staged:
    """Sequencer of double-buffered tiles: one is read, one shifted into the spare plane, one multiplied, at once."""

    def __init__(self, folds: int, length: int, rows: int) -> None:
        self._folds, self._length, self._rows = folds, length, rows
        self._rows_read = 0
        self._shifting, self._shift_start = -1, 0
        self._streaming, self._stream_start = -1, 0

    @property
    def finished(self) -> bool:
        """Whether everything has entered the array."""
        return self._streaming >= self._folds

    def next(self, cycle: int, *, idle: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """((tag, fold) to issue, (step, fold) to shift) in this cycle."""
        shifted = self._shifting - (cycle - self._shift_start < self._rows)
        if self._rows_read < min(self._folds, shifted + 1 + _STAGED) * self._rows:
            self._rows_read += 1
        self._start_stream(cycle)
        self._start_shift(cycle)
        step = cycle - self._shift_start
        shift = (step, self._shifting) if self._shifting >= 0 and step < self._rows else (NOTHING, 0)
        return self._issue(cycle), shift

    def _start_stream(self, cycle: int) -> None:
        """The next fold starts when its tile is in the spare plane and the port at the left is free."""
        following = self._streaming + 1
        free = self._streaming < 0 or cycle - self._stream_start >= self._length
        shifted = self._shifting == following and cycle - self._shift_start >= self._rows
        if following < self._folds and free and shifted:
            self._streaming, self._stream_start = following, cycle

    def _start_shift(self, cycle: int) -> None:
        """The next tile is shifted in once it is staged and the fold before has taken the spare plane over."""
        following = self._shifting + 1
        staged = self._rows_read >= (following + 1) * self._rows
        if following < self._folds and staged and self._streaming == self._shifting:
            self._shifting, self._shift_start = following, cycle

    def _issue(self, cycle: int) -> tuple[int, int]:
        fold, step = self._streaming, cycle - self._stream_start
        if fold < 0 or fold >= self._folds:
            return NOTHING, 0
        last = fold == self._folds - 1
        if last and step + 1 >= max(self._length, _ISSUE_CYCLES):
            self._streaming = self._folds
        if step < self._length:
            return fold * self._length + step, fold
        return (BUBBLE if last else NOTHING), fold


def _output_stationary(
    lanes: Operands, weights: Operands, rows: int, cols: int, pipelined: bool, watch: bool
) -> SystolicRun:
    """``lanes`` (m, k', lanes) enter at the left, ``weights`` (n, k', 2) at the top."""
    length = lanes.shape[1]
    left = _tiles(lanes, rows, length)[:, 0].transpose(0, 2, 1, 3)
    top = _tiles(weights, cols, length)[:, 0].transpose(0, 2, 1, 3)
    row_blocks, col_blocks = len(left), len(top)
    array = OutputArray(np.repeat(left, col_blocks, axis=0), np.tile(top, (row_blocks, 1, 1, 1)))
    seen = _Watch(array, _real(rows, cols, len(lanes), len(weights)).reshape(-1, rows, cols), watch)
    cycle = fold = step = 0
    while True:
        array.step(_output_issue(array, fold, step, pipelined))
        seen.look()
        cycle, step = cycle + 1, step + 1
        last = fold == array.folds - 1
        issued = step >= max(length, _ISSUE_CYCLES if last and pipelined else 1)
        emptied = issued and _emptied(array)
        if last and emptied:
            break
        if not last and (step >= max(length, rows) if pipelined else emptied):
            fold, step = fold + 1, 0
    drain = 0
    while array.draining or step <= _flush_step(array, pipelined):
        array.step(_output_issue(array, fold, step, pipelined))
        drain, step = drain + 1, step + 1
    blocks = array.outputs.reshape(row_blocks, col_blocks, rows, cols).transpose(0, 2, 1, 3)
    product = blocks.reshape(row_blocks * rows, -1)[: len(lanes), : len(weights)]
    return _report(product, cycle, drain, array.folds, seen)


def _flush_step(array: OutputArray, pipelined: bool) -> int:
    """When, after the start of the last fold, its sums are told to leave."""
    return int(max(array.length, array.rows, _ISSUE_CYCLES if pipelined else 1))


def _output_issue(array: OutputArray, fold: int, step: int, pipelined: bool) -> tuple[int, int]:
    """(tag, fold) to issue at that step after the start of a fold."""
    if step < array.length:
        return fold * array.length + step, fold
    if fold == array.folds - 1:
        if pipelined and step < _ISSUE_CYCLES:
            return BUBBLE, fold
        if step == _flush_step(array, pipelined):
            return array.folds * array.length, fold
    return NOTHING, fold
