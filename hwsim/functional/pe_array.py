"""Arrays of processing elements (PEs) as registers that move once a cycle; they know no schedule and no formula.

A *lane* operand is a small vector of activations, a *weight* operand a pair (value, lane): a PE multiplies the
value with that lane. Dense products have one lane; with N:M sparsity a PE is handed the M activations of a group
and picks the one its weight belongs to (H. Genc et al., Gemmini, 2021, for the skewed shift of stationary
operands through two planes of registers; Z.-G. Liu et al., S2TA, 2022, for the selection).

Everything is skewed: what happens in PE (0, 0) at cycle t happens in PE (i, j) at t + i + j. Tags travel with the
operands: ``fold * length + step``, BUBBLE for a slot without operands, NOTHING for no slot at all.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUBBLE", "NOTHING", "Operands", "OutputArray", "StationaryArray", "multiply"]

NOTHING = -1
BUBBLE = -2

Operands = NDArray[np.int64]
Tags = NDArray[np.int64]


def multiply(lanes: Operands, weight: Operands) -> Operands:
    """The value times the chosen lane; ``lanes`` (..., lanes), ``weight`` (..., 2)."""
    chosen = lanes[..., 0] if lanes.shape[-1] == 1 else np.take_along_axis(lanes, weight[..., 1:], -1)[..., 0]
    product: Operands = chosen * weight[..., 0]
    return product


def _nonzero(operand: Operands, weight: bool) -> NDArray[np.bool_]:
    return np.asarray(operand[..., 0] != 0 if weight else operand.any(-1))


class _Skew:
    """The delay line at an edge: place i gets what was sent i cycles ago."""

    def __init__(self, places: int) -> None:
        self._sent: deque[tuple[int, ...]] = deque([(NOTHING, 0)] * places, maxlen=places)

    def send(self, tag: int, fold: int) -> tuple[Tags, Tags]:
        """(tags, folds) that enter at each place in this cycle."""
        self._sent.appendleft((tag, fold))
        tags, folds = np.array(self._sent, dtype=np.int64).T
        return tags, folds


class StationaryArray:
    """A PE keeps one operand, multiplies it with what comes from the left and adds to the sum from above.

    Two planes hold the stationary operand: ``active`` multiplies while ``held`` is shifted in from the top, through a
    second register a PE. The first step of a fold swaps the planes on its way.

    Args:
        stationary: one tile a fold, (folds, rows, cols, values of an operand).
        moving: what enters at the left, (folds, length, rows, values of an operand).
        weights_stay: whether the stationary operand is the weight.
    """

    def __init__(self, stationary: Operands, moving: Operands, *, weights_stay: bool) -> None:
        self.folds, self.rows, self.cols, kept = stationary.shape
        self.length = moving.shape[1]
        self._stationary, self._moving, self._weights_stay = stationary, moving, weights_stay
        plane = (self.rows, self.cols)
        self._held, self._between, self._active = (np.zeros((*plane, kept), np.int64) for _ in range(3))
        self._shifting = np.zeros(plane, np.bool_)
        self._operand = np.zeros((*plane, moving.shape[3]), np.int64)
        self._sums = np.zeros(plane, np.int64)
        self.tags: Tags = np.full(plane, NOTHING)
        self._left, self._top = _Skew(self.rows), _Skew(self.cols)
        self.outputs = np.zeros((self.folds, self.length, self.cols), np.int64)

    @property
    def busy(self) -> NDArray[np.bool_]:
        """Which PEs multiply in this cycle."""
        return np.asarray(self.tags >= 0)

    @property
    def loading(self) -> NDArray[np.bool_]:
        """Which PEs take in a part of the next stationary operand."""
        return self._shifting

    @property
    def slots(self) -> NDArray[np.bool_]:
        """Which PEs have an issued slot, with operands or without."""
        return np.asarray(self.tags != NOTHING)

    def zeros(self) -> NDArray[np.bool_]:
        """Which busy PEs have an operand of zero, whose multiplication may be skipped."""
        kept = _nonzero(self._active, self._weights_stay) & _nonzero(self._operand, not self._weights_stay)
        return self.busy & ~kept

    def step(self, issue: tuple[int, int], shift: tuple[int, int]) -> None:
        """One cycle: ``issue`` is (tag, fold) entering row 0, ``shift`` (step, fold) of the tile entering column 0."""
        self._move_weights(*self._top.send(*shift))
        tags, folds = self._left.send(*issue)
        self._move_operands(tags, folds)
        above = np.vstack([np.zeros((1, self.cols), np.int64), self._sums[:-1]])
        swap = (self.tags >= 0) & (self.tags % self.length == 0)
        self._active = np.where(swap[..., None], self._shadow, self._active)
        pair = (self._operand, self._active) if self._weights_stay else (self._active, self._operand)
        self._sums = above + np.where(self.busy, multiply(*pair), 0)
        self._collect()

    def _move_weights(self, steps: Tags, folds: Tags) -> None:
        """Shift the held plane down a row where the shift wave is; ``_shadow`` is the plane before it."""
        self._shadow = self._held
        cols = np.arange(self.cols)
        entering = self._stationary[folds, self.rows - 1 - np.maximum(steps, 0), cols]
        source = np.concatenate([entering[None], self._between[:-1]])
        self._shifting = np.vstack([(steps != NOTHING)[None], self._shifting[:-1]])
        moving = self._shifting[..., None]
        self._between = np.where(moving, self._held, self._between)
        self._held = np.where(moving, source, self._held)

    def _move_operands(self, tags: Tags, folds: Tags) -> None:
        rows = np.arange(self.rows)
        entering = self._moving[folds, np.maximum(tags, 0) % self.length, rows]
        self._operand = np.concatenate([entering[:, None], self._operand[:, :-1]], axis=1)
        self.tags = np.concatenate([tags[:, None], self.tags[:, :-1]], axis=1)

    def _collect(self) -> None:
        """Sums leave the bottom row into the accumulators below."""
        tags = self.tags[-1]
        cols = np.flatnonzero(tags >= 0)
        fold, step = np.divmod(tags[cols], self.length)
        self.outputs[fold, step, cols] += self._sums[-1, cols]


class OutputArray:
    """A PE keeps a sum; lanes come from the left, weights from above, finished sums leave downwards.

    The first step of a fold moves the finished sum aside, from where it is shifted out through two registers a row.

    Args:
        lanes: what enters at the left, (folds, length, rows, lanes).
        weights: what enters at the top, (folds, length, cols, 2).
    """

    def __init__(self, lanes: Operands, weights: Operands) -> None:
        self.folds, self.length, self.rows, count = lanes.shape
        self.cols = weights.shape[2]
        self._lanes, self._weights = lanes, weights
        plane = (self.rows, self.cols)
        self._lane, self._weight = np.zeros((*plane, count), np.int64), np.zeros((*plane, 2), np.int64)
        self._sums, self._aside, self._between = (np.zeros(plane, np.int64) for _ in range(3))
        self._aside_tag: Tags = np.full(plane, NOTHING)
        self._between_tag: Tags = np.full(plane, NOTHING)
        self.tags: Tags = np.full(plane, NOTHING)
        self._left, self._top = _Skew(self.rows), _Skew(self.cols)
        self.outputs = np.zeros((self.folds, self.rows, self.cols), np.int64)

    @property
    def busy(self) -> NDArray[np.bool_]:
        """Which PEs multiply in this cycle."""
        return np.asarray((self.tags >= 0) & (self.tags < self.folds * self.length))

    @property
    def loading(self) -> NDArray[np.bool_]:
        """Which PEs hold a finished sum on its way out."""
        return np.asarray(self._aside_tag != NOTHING)

    @property
    def slots(self) -> NDArray[np.bool_]:
        """Which PEs have an issued slot, with operands or without; a flush is none."""
        return np.asarray((self.tags != NOTHING) & (self.tags < self.folds * self.length))

    @property
    def draining(self) -> bool:
        """Whether the next cycle finds sums in the array: a flush on its way, or finished sums above the last row."""
        flushing = (self.tags != NOTHING).sum() > (self.tags[-1, -1] != NOTHING)
        aside = np.stack([self._aside_tag[:-1], self._between_tag[:-1]])
        return bool(flushing or (aside != NOTHING).any())

    def zeros(self) -> NDArray[np.bool_]:
        """Which busy PEs have an operand of zero, whose multiplication may be skipped."""
        return self.busy & ~(_nonzero(self._weight, weight=True) & _nonzero(self._lane, weight=False))

    def step(self, issue: tuple[int, int]) -> None:
        """One cycle: ``issue`` is (tag, fold) entering PE (0, 0); a tag past the last fold flushes the sums."""
        tags, folds = self._left.send(*issue)
        steps = np.maximum(tags, 0) % self.length
        inside = np.minimum(folds, self.folds - 1)
        entering = self._lanes[inside, steps, np.arange(self.rows)]
        self._lane = np.concatenate([entering[:, None], self._lane[:, :-1]], axis=1)
        self.tags = np.concatenate([tags[:, None], self.tags[:, :-1]], axis=1)
        above, folds = self._top.send(*issue)
        inside = np.minimum(folds, self.folds - 1)
        falling = self._weights[inside, np.maximum(above, 0) % self.length, np.arange(self.cols)]
        self._weight = np.concatenate([falling[None], self._weight[:-1]])
        self._move_sums()

    def _move_sums(self) -> None:
        first = (self.tags >= 0) & (self.tags % self.length == 0)
        fold = self.tags // self.length - 1
        done = first & (fold >= 0)
        rows = np.arange(self.rows)[:, None]
        value = np.vstack([np.zeros((1, self.cols), np.int64), self._between[:-1]])
        tag = np.vstack([np.full((1, self.cols), NOTHING), self._between_tag[:-1]])
        self._between, self._between_tag = self._aside, self._aside_tag
        assert not (done & (tag != NOTHING)).any(), "a finished sum met another on its way out"
        self._aside = np.where(done, self._sums, value)
        self._aside_tag = np.where(done, fold * self.rows + rows, tag)
        kept = np.where(first, 0, self._sums)
        self._sums = kept + np.where(self.busy, multiply(self._lane, self._weight), 0)
        cols = np.flatnonzero(self._aside_tag[-1] != NOTHING)
        fold_out, row = np.divmod(self._aside_tag[-1, cols], self.rows)
        self.outputs[fold_out, row, cols] = self._aside[-1, cols]
