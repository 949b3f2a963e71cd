"""A weight-stationary product through one memory port: its tiles, what each moves, and the cycles of all, exact.

Tiles of weights (``rows`` x ``cols``) pass one after another, and with each the inputs that meet it. While one is
computed on, the port brings the next and takes away what the last one left:
:func:`hwsim.cost.scratchpad.double_buffered_time_s` in whole cycles. A tile may fill half the scratchpad. Sums live in
accumulators; what they cannot hold is written after a fold of k and read back before the sums of the next are complete.

Sources: A. Samajdar et al., "SCALE-Sim", 2018, for double buffering by half; N. Jouppi et al., "In-datacenter
performance analysis of a tensor processing unit", 2017, for accumulators.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.cost.scratchpad import double_buffered_time_s
from hwsim.cost.systolic import ISSUE_CYCLES
from hwsim.errors import InputError

__all__ = ["Ported", "Tile", "port_cycles", "tiles_through_port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ported:
    """An array of ``rows`` x ``cols`` PEs, its port and its memories, in words (an element each)."""

    rows: int
    cols: int
    words_per_cycle: int
    scratchpad_words: int
    accumulator_words: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One step: words in (weights and inputs), words behind it (results, or sums put away and read back), cycles."""

    load: int
    store: int
    compute: int


def tiles_through_port(m: int, n: int, k: int, chip: Ported) -> list[Tile]:
    """The tiles of a product (m, n, k) in order: chunks of inputs, blocks of n, folds of k.

    The first tile also waits until its weights are shifted in (2 rows - 1), the last until its sums have left.

    Raises:
        InputError: half the scratchpad does not hold a tile of weights and one row of inputs.
    """
    chunk = chip.scratchpad_words // 2 // chip.rows - chip.cols
    if chunk < 1:
        least = 2 * chip.rows * (chip.cols + 1)
        raise InputError(f"half of {chip.scratchpad_words} words cannot hold a tile of weights; write {least} or more")
    folds, blocks = -(-k // chip.rows), -(-n // chip.cols)
    tiles: list[Tile] = []
    steps = 1
    for first in range(0, m, chunk):
        steps = min(chunk, m - first)
        spilled = max(0, steps * chip.cols - chip.accumulator_words) if folds > 1 else 0
        for _ in range(blocks):
            for fold in range(folds):
                load = chip.rows * (chip.cols + steps)
                store = 2 * spilled if fold < folds - 1 else steps * chip.cols
                tiles.append(Tile(load=load, store=store, compute=max(steps, chip.rows)))
    drained = chip.rows + chip.cols - 2 + max(steps, int(ISSUE_CYCLES))
    tiles[-1] = replace(tiles[-1], compute=drained)
    tiles[0] = replace(tiles[0], compute=tiles[0].compute + 2 * chip.rows - 1)
    return tiles


def port_cycles(m: int, n: int, k: int, chip: Ported) -> int:
    """Cycles of a product: ``fill + sum max(compute_i, load_i+1 + store_i-1) + drain`` in whole cycles of the port.

    With a port that is never waited for this is ``systolic_cycles(..., pipelined=True)`` and one cycle each to fill
    and to drain.

    >>> wide = Ported(rows=4, cols=4, words_per_cycle=10**9, scratchpad_words=10**6, accumulator_words=10**6)
    >>> port_cycles(10, 8, 8, wide)
    55
    """
    tiles = tiles_through_port(m, n, k, chip)
    words = chip.words_per_cycle
    # The port takes loads and stores of a step one after the other, each in whole cycles.
    load, store = ([-(-getattr(tile, name) // words) for tile in tiles] for name in ("load", "store"))
    return int(double_buffered_time_s([float(tile.compute) for tile in tiles], load, store))
