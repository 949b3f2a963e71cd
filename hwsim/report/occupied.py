"""Who held each device and link, over time and by operator kind: what a timeline draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.report.result import Result
from hwsim.trace.record import Record

__all__ = ["TRANSFER", "Lane", "PhaseSpan", "kinds_by_time", "lanes", "occupied", "phases", "typical"]

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

TRANSFER = "transfer"
"""What stands for an operator kind on links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A device or a link that did something; ``width`` is how many things it may do at once."""

    label: str
    index: int
    is_link: bool
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSpan:
    """A phase with all its repeats."""

    name: str
    start_s: float
    end_s: float
    repeats: int


def lanes(result: Result) -> list[Lane]:
    """Devices that ran an operator, then links that something crossed."""
    devices = {index for record in result.records for index in np.unique(record.device).tolist()}
    crossed = {transfer[0] for record in result.records for transfer in record.transfers}
    roles = enumerate(result.system.devices.items())
    found = [Lane(label=role, index=i, is_link=False, width=spec.queues) for i, (role, spec) in roles if i in devices]
    links = enumerate(result.links)
    return found + [Lane(label=name, index=i, is_link=True, width=1) for i, (name, _) in links if i in crossed]


def phases(result: Result) -> list[PhaseSpan]:
    """The phases in order of time."""
    spans: dict[str, PhaseSpan] = {}
    for record in result.records:
        before = spans.get(record.phase)
        spans[record.phase] = PhaseSpan(
            name=record.phase,
            start_s=before.start_s if before else record.offset_ps * 1e-12,
            end_s=record.end_offset_ps * 1e-12,
            repeats=record.repeats + (before.repeats if before else 0),
        )
    return list(spans.values())


def kinds_by_time(results: Sequence[Result]) -> list[str]:
    """Operator kinds by their share of the time of all runs, the largest first."""
    shares: dict[str, float] = {}
    for result in results:
        for b in result.bottlenecks(most=1000):
            shares[b.kind] = shares.get(b.kind, 0.0) + b.share
    return sorted(shares, key=lambda kind: (-shares[kind], kind))


def typical(result: Result) -> Record:
    """The record in the middle of the phase that takes longest."""
    longest = max(phases(result), key=lambda phase: phase.end_s - phase.start_s)
    chosen = [record for record in result.records if record.phase == longest.name]
    return chosen[len(chosen) // 2]


def occupied(records: Sequence[Record], lane: Lane, edges_s: Array) -> dict[str, Array]:
    """Share of each bin in which a lane is held, by operator kind, (bins,); exact, however short the spans are.

    Args:
        records: in order of time.
        lane: a device or a link.
        edges_s: increasing times on the clock of the run, (bins + 1,).
    """
    held: dict[str, Array] = {}
    for record in records:
        offset, length = record.offset_ps * 1e-12, record.repeats * record.period_ps * 1e-12
        low, high = np.searchsorted(edges_s, [offset, offset + length]).tolist()
        inside = edges_s[low:high] - offset
        period = record.period_ps * 1e-12
        turn = np.minimum(np.floor(inside / period), record.repeats - 1) if period > 0 else np.zeros_like(inside)
        for kind, (starts, ends) in _spans(record, lane).items():
            total = float((ends - starts).sum())
            so_far = held.setdefault(kind, np.zeros(len(edges_s)))
            so_far[low:high] += turn * total + _elapsed(starts, ends, inside - turn * period)
            so_far[high:] += record.repeats * total
    widths = np.maximum(np.diff(edges_s), 1e-30) * lane.width
    return {kind: np.clip(np.diff(so_far) / widths, 0.0, 1.0) for kind, so_far in held.items()}


def _spans(record: Record, lane: Lane) -> dict[str, tuple[Array, Array]]:
    """(starts, ends) in seconds of one repeat, by operator kind."""
    if lane.is_link:
        crossing = [(start, end) for link, _, start, end, _ in record.transfers if link == lane.index]
        times = np.array(crossing, dtype=np.float64).reshape(-1, 2) * 1e-12
        return {TRANSFER: (times[:, 0], times[:, 1])} if crossing else {}
    mine = np.flatnonzero(record.device == lane.index)
    names = np.array(record.kinds)[mine]
    starts, ends = record.start_ps[mine] * 1e-12, record.end_ps[mine] * 1e-12
    return {str(kind): (starts[names == kind], ends[names == kind]) for kind in np.unique(names)}


def _elapsed(starts: Array, ends: Array, times: Array) -> Array:
    """Sum over spans of how much of each lies before a time, (times,).

    >>> _elapsed(np.array([0.0, 4.0]), np.array([2.0, 5.0]), np.array([1.0, 3.0, 9.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    return _ramps(starts, times) - _ramps(ends, times)


def _ramps(origins: Array, times: Array) -> Array:
    """Sum over origins of how far a time lies behind each, 0 before it."""
    ordered = np.sort(origins)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    count = np.searchsorted(ordered, times)
    found: Array = count * times - sums[count]
    return found
