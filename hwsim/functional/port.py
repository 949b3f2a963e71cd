"""A weight-stationary product stepped through one memory port: words move, sums spill and come back.

Where :mod:`hwsim.functional.systolic` steps the PEs, this steps what is around them, a cycle at a time: the port moves
``words_per_cycle``, the scratchpad has two halves, outputs leave from two as well. A tile starts on the array when its
words have come and the outputs of the tile before the last have gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.cost.port import Ported
from hwsim.cost.systolic import ISSUE_CYCLES
from hwsim.errors import InputError, ShapeError

__all__ = ["PortedRun", "step_through_port"]

Words = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortedRun:
    """What happened: the product, the cycles, the words that passed the port, and in how many the array worked."""

    product: Words
    cycles: int
    loaded_words: int
    stored_words: int
    spilled_words: int
    array_cycles: int


@dataclass(frozen=True, slots=True)
class _Step:
    """A tile of weights, the inputs that meet it, where the results belong, and its place among the folds of k."""

    weights: Words
    inputs: Words
    rows: slice
    cols: slice
    first_fold: bool
    last_fold: bool


def _steps(a: Words, b: Words, chip: Ported) -> Iterator[_Step]:
    """Chunks of inputs that fit half the scratchpad with a tile, blocks of columns, folds of k; padded with zeros."""
    padded_a = np.pad(a, ((0, 0), (0, -a.shape[1] % chip.rows)))
    padded_b = np.pad(b, ((0, -b.shape[0] % chip.rows), (0, -b.shape[1] % chip.cols)))
    chunk = (chip.scratchpad_words // 2 - chip.rows * chip.cols) // chip.rows
    if chunk < 1:
        raise InputError(f"half of {chip.scratchpad_words} words does not hold a tile of weights and a row of inputs")
    for top in range(0, len(a), chunk):
        for left in range(0, padded_b.shape[1], chip.cols):
            for fold in range(0, padded_b.shape[0], chip.rows):
                along_k = slice(fold, fold + chip.rows)
                yield _Step(
                    weights=padded_b[along_k, left : left + chip.cols],
                    inputs=padded_a[top : top + chunk, along_k],
                    rows=slice(top, min(top + chunk, len(a))),
                    cols=slice(left, left + chip.cols),
                    first_fold=fold == 0,
                    last_fold=fold + chip.rows >= padded_b.shape[0],
                )


class _Machine:
    """Port, scratchpad halves, array and accumulators, a cycle at a time; counts are of steps."""

    def __init__(self, steps: Sequence[_Step], chip: Ported, out: Words) -> None:
        self._steps, self._chip, self._out = steps, chip, out
        self._held = self._away = np.zeros(0, np.int64)
        self.loaded = self.stored = self.spilled = self.array_cycles = 0
        self._fetched = self._begun = self._finished = self._written = 0
        self._to_load = steps[0].weights.size + steps[0].inputs.size
        self._to_store: list[int] = []
        self._to_compute = 0

    def run(self) -> int:
        """Cycles until the last result is in memory."""
        cycle = 0
        while self._written < len(self._steps):
            self._begin()
            self._move()
            if self._to_compute:
                self._to_compute -= 1
                self.array_cycles += 1
            if self._begun > self._finished and not self._to_compute and self._written >= self._finished:
                self._finish(self._steps[self._finished])
            cycle += 1
        return cycle

    def _begin(self) -> None:
        """The next step starts when the one before is finished and its words have come."""
        place = self._begun
        if place == self._finished and place < self._fetched:
            chip, steps, last = self._chip, len(self._steps[place].inputs), place == len(self._steps) - 1
            drain = chip.rows + chip.cols - 2 + max(steps, int(ISSUE_CYCLES))
            shift = 2 * chip.rows - 1 if place == 0 else 0
            self._to_compute = shift + (drain if last else max(steps, chip.rows))
            self._begun += 1

    def _move(self) -> None:
        """A cycle of the port: words of the next step while a half is free, else what the last step left."""
        words = self._chip.words_per_cycle
        if self._fetched < len(self._steps) and self._fetched <= self._begun:
            self.loaded += min(words, self._to_load)
            self._to_load -= min(words, self._to_load)
            if not self._to_load:
                self._fetched += 1
                if self._fetched < len(self._steps):
                    following = self._steps[self._fetched]
                    self._to_load = following.weights.size + following.inputs.size
        elif self._written < self._finished:
            self.stored += min(words, self._to_store[self._written])
            self._to_store[self._written] -= min(words, self._to_store[self._written])
        while self._written < self._finished and not self._to_store[self._written]:
            self._written += 1

    def _finish(self, step: _Step) -> None:
        """Add up: sums kept, sums that came back, this fold; then results leave, or what does not fit goes away."""
        sums = (step.inputs @ step.weights).ravel()
        if not step.first_fold:
            sums = sums + np.concatenate([self._held, self._away])
        if step.last_fold:
            self._out[step.rows, step.cols] = sums.reshape(len(step.inputs), -1)
            self._to_store.append(sums.size)
        else:
            room = min(sums.size, self._chip.accumulator_words)
            self._held, self._away = sums[:room], sums[room:]
            self.spilled += 2 * self._away.size
            self._to_store.append(2 * self._away.size)
        self._finished += 1


def step_through_port(a: ArrayLike, b: ArrayLike, chip: Ported) -> PortedRun:
    """Multiply integer matrices ``a`` (m, k) and ``b`` (k, n) from memory, cycle by cycle.

    Raises:
        ShapeError: the matrices do not fit each other.
        InputError: operands that are not whole, or a scratchpad too small for a tile.
    """
    left, right = np.asarray(a), np.asarray(b)
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise ShapeError(f"step_through_port: shapes {left.shape} and {right.shape}; a needs as many columns as b rows")
    if not (np.issubdtype(left.dtype, np.integer) and np.issubdtype(right.dtype, np.integer)):
        raise InputError(
            f"step_through_port: operands are {left.dtype} and {right.dtype}; round them to integers first"
        )
    (m, n), wide = (len(left), right.shape[1]), right.shape[1] + -right.shape[1] % chip.cols
    out = np.zeros((m, wide), np.int64)
    machine = _Machine(list(_steps(left.astype(np.int64), right.astype(np.int64), chip)), chip, out)
    cycles = machine.run()
    return PortedRun(
        product=out[:, :n],
        cycles=cycles,
        loaded_words=machine.loaded,
        stored_words=machine.stored - machine.spilled,
        spilled_words=machine.spilled,
        array_cycles=machine.array_cycles,
    )
