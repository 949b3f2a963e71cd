"""What ran when, as columns: one entry a span."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from hwsim.devices.base import BOUNDS
from hwsim.trace.record import Record

__all__ = ["SPAN_COLUMNS", "SPAN_LIMIT", "span_columns"]

SPAN_COLUMNS: tuple[str, ...] = ("op", "kind", "phase", "repeat", "repeats", "device", "start_s", "end_s")
SPAN_COLUMNS += ("energy_j", "flop", "bytes", "bound", "utilization")

SPAN_LIMIT = 20_000
"""Spans of a run above which the repeats of a phase are listed once."""


def span_columns(records: Sequence[Record], roles: Sequence[str], limit: int = SPAN_LIMIT) -> dict[str, list[Any]]:
    """Spans of a run in the order of its phases.

    Above the limit each operator of a phase is listed once: ``repeats`` says how often it ran, start and end are
    those of the first time, and energy, operations, bytes and utilization are means over all times.
    """
    table: dict[str, list[Any]] = {name: [] for name in SPAN_COLUMNS}
    full = sum(len(record.names) * record.repeats for record in records) <= limit
    for _, group in groupby(records, key=lambda record: record.phase):
        same = list(group)
        if full:
            for record in same:
                for turn in range(record.repeats):
                    _append(table, [record], roles, turn, 1)
        else:
            _append(table, same, roles, 0, sum(record.repeats for record in same))
    return table


def _append(
    table: dict[str, list[Any]], records: Sequence[Record], roles: Sequence[str], turn: int, times: int
) -> None:
    first = records[0]
    shown = np.flatnonzero(first.device >= 0)
    offset = first.offset_ps + turn * first.period_ps
    table["op"] += [first.names[i] for i in shown.tolist()]
    table["kind"] += [first.kinds[i] for i in shown.tolist()]
    table["phase"] += [first.phase] * len(shown)
    table["repeat"] += [first.index + turn] * len(shown)
    table["repeats"] += [times] * len(shown)
    table["device"] += [roles[i] for i in first.device[shown].tolist()]
    table["start_s"] += ((first.start_ps[shown] + offset) * 1e-12).tolist()
    table["end_s"] += ((first.end_ps[shown] + offset) * 1e-12).tolist()
    weights = np.array([record.repeats for record in records], dtype=np.float64) / sum(r.repeats for r in records)
    means = {"energy_j": _mean([r.energy_j for r in records], weights)}
    means["flop"] = _mean([r.columns.flop for r in records], weights)
    means["bytes"] = _mean([r.columns.dram_bytes for r in records], weights)
    means["utilization"] = _mean([r.columns.utilization for r in records], weights)
    for name, values in means.items():
        table[name] += values[shown].tolist()
    table["bound"] += [BOUNDS[i] for i in first.columns.bound[shown].tolist()]


def _mean(columns: Sequence[Any], weights: Any) -> Any:
    return columns[0] if len(columns) == 1 else weights @ np.stack(columns)
