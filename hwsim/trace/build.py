"""The trace of a run, from the records of its phases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.trace.record import Record
from hwsim.trace.trace import Block, Counter, FloatArray, IntArray, Segment, Trace, Track

__all__ = ["trace_of"]


def trace_of(
    records: Sequence[Record], *, devices: Sequence[str], links: Sequence[str], memories: Sequence[str], title: str = ""
) -> Trace:
    """Return the trace of a run.

    Args:
        records: What its phases were, in order of time.
        devices: Names of the devices, by index.
        links: Names of the links, by index.
        memories: Names of the memories, by index.
        title: What to call the run.
    """
    tracks = [Track(name=name, kind="device") for name in devices]
    tracks += [Track(name=f"link {name}", kind="link") for name in links]
    counters = [Counter(name=f"{name} in use", unit="bytes") for name in memories]
    counters += [Counter(name=f"{name} dynamic power", unit="watts") for name in devices]
    return Trace(
        tracks=tuple(tracks),
        counters=tuple(counters),
        blocks=tuple(_block(record, len(devices), len(memories)) for record in records),
        title=title,
    )


def _block(record: Record, devices: int, memories: int) -> Block:
    return Block(
        segment=_segment(record, devices, memories),
        start_ps=record.offset_ps,
        period_ps=record.period_ps,
        repeat=record.repeats,
        first=record.index,
    )


def _segment(record: Record, devices: int, memories: int) -> Segment:
    tasks = len(record.names)
    owner = np.flatnonzero(record.device >= 0)
    task, device = np.stack([owner, record.device[owner]]) if record.held is None else record.held
    table = [(link, start, end) for link, _, start, end, _ in record.transfers]
    crossing = np.array(table, dtype=np.int64).reshape(-1, 3)
    number = np.arange(tasks, tasks + len(crossing), dtype=np.int64)
    samples = [(times, used.astype(np.float64)) for times, used in record.memory_samples]
    samples += [_nothing()] * (memories - len(samples))
    samples += [_power(record, unit) for unit in range(devices)]
    return Segment(
        phase=record.phase,
        names=[*record.names, *(tensor for *_, tensor in record.transfers)],
        start_ps=np.concatenate([record.start_ps, crossing[:, 1]]),
        end_ps=np.concatenate([record.end_ps, crossing[:, 2]]),
        activity=np.concatenate([task, number]),
        track=np.concatenate([device, devices + crossing[:, 0]]),
        makespan_ps=record.period_ps,
        edges=np.zeros((2, 0), dtype=np.int64) if record.edges is None else record.edges,
        samples=samples,
    )


def _nothing() -> tuple[IntArray, FloatArray]:
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float64)


def _power(record: Record, device: int) -> tuple[IntArray, FloatArray]:
    """Return when the dynamic power of a device changes, and to what: each task spends its energy evenly."""
    columns = record.columns
    took_s = (record.end_ps - record.start_ps) * 1e-12
    mine = np.flatnonzero((record.device == device) & (took_s > 0))
    if not len(mine):
        return _nothing()
    energy_j = columns.compute_j + columns.memory_j + columns.active_j * record.stretch
    power_w = energy_j[mine] / took_s[mine]
    times = np.concatenate([record.start_ps[mine], record.end_ps[mine]])
    change, where = np.unique(times, return_inverse=True)
    level = np.zeros(len(change), dtype=np.float64)
    np.add.at(level, where, np.concatenate([power_w, -power_w]))
    floor = np.cumsum(level)
    floor[np.abs(floor) < 1e-9 * float(power_w.max(initial=0.0))] = 0.0
    return change, np.maximum(floor, 0.0)
