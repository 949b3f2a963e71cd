"""Which operators cost most, and what bounds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import BOUNDS
from hwsim.trace.record import Record

__all__ = ["Bottleneck", "bottlenecks"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """All operators of one kind in one phase.

    ``share`` is of the time of all operators, ``bound`` what bounds most of the time, ``utilization`` useful
    operations over peak x time, ``runs`` how many operators ran, repeats included.
    """

    kind: str
    phase: str
    time_s: float
    share: float
    bound: str
    utilization: float
    runs: int


def bottlenecks(records: Sequence[Record], most: int) -> list[Bottleneck]:
    """The kinds of operators that take most time, the longest first."""
    places: dict[tuple[str, str], int] = {}
    codes: dict[str, NDArray[np.int64]] = {}
    for record in records:
        if record.phase not in codes:
            keys = ((kind, record.phase) for kind in record.kinds)
            codes[record.phase] = np.array([places.setdefault(key, len(places)) for key in keys], dtype=np.int64)
    by_bound = np.zeros((len(places), len(BOUNDS)))
    used, runs = np.zeros(len(places)), np.zeros(len(places), dtype=np.int64)
    for record in records:
        shown = record.device >= 0
        code, columns = codes[record.phase][shown], record.columns
        took = (record.end_ps - record.start_ps)[shown] * 1e-12 * record.repeats
        np.add.at(by_bound, (code, columns.bound[shown]), took)
        np.add.at(used, code, (columns.utilization * columns.alone_s)[shown] * record.repeats)
        np.add.at(runs, code, record.repeats)
    return _ranked(list(places), by_bound, used, runs)[:most]


def _ranked(keys: Sequence[tuple[str, str]], by_bound: Array, used: Array, runs: NDArray[np.int64]) -> list[Bottleneck]:
    spent = by_bound.sum(axis=1)
    total = float(spent.sum())
    order = sorted((i for i in range(len(keys)) if runs[i]), key=lambda i: -spent[i])
    return [
        Bottleneck(
            kind=keys[i][0],
            phase=keys[i][1],
            time_s=float(spent[i]),
            share=float(spent[i]) / total if total else 0.0,
            bound=BOUNDS[int(by_bound[i].argmax())],
            utilization=float(used[i] / spent[i]) if spent[i] else 0.0,
            runs=int(runs[i]),
        )
        for i in order
    ]
