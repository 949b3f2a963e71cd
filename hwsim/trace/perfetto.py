"""Chrome trace JSON, which ui.perfetto.dev opens: a track per lane of every device and link, counters beside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from hwsim.trace.trace import Sample, Span, Trace

__all__ = ["perfetto_events", "write_perfetto"]

_LIMIT = 200_000
"""Most spans and most samples of one trace written one by one; a viewer takes a few hundred thousand with ease."""


def write_perfetto(traces: Trace | Sequence[Trace], path: Path | str, *, limit: int = _LIMIT) -> None:
    """Write traces as one file, each as a process of its own.

    Args:
        traces: What happened, one or several.
        path: Where to; its folder exists.
        limit: Most spans and samples of each trace written one by one; the rest is summed up.
    """
    several = [traces] if isinstance(traces, Trace) else traces
    with Path(path).open("w", encoding="utf-8") as out:
        out.write('{"displayTimeUnit":"ns","traceEvents":[')
        _write_events(several, limit, out)
        out.write("\n]}\n")


def _write_events(traces: Sequence[Trace], limit: int, out: TextIO) -> None:
    separator = "\n"
    for process, trace in enumerate(traces, start=1):
        for event in perfetto_events(trace, process=process, limit=limit):
            out.write(separator)
            out.write(json.dumps(event, separators=(",", ":"), allow_nan=False))
            separator = ",\n"


def perfetto_events(trace: Trace, *, process: int = 1, limit: int = _LIMIT) -> Iterator[dict[str, Any]]:
    """Yield the events of one trace; times are microseconds with nanosecond resolution.

    Starts and ends are rounded to the nanosecond one by one, so that neighbours never overlap: a viewer drops slices
    that overlap others of their track.

    Args:
        trace: What happened.
        process: Number of the process that holds its tracks.
        limit: Most spans and samples yielded one by one.
    """
    lanes = _lanes(trace)
    threads = {key: number for number, key in enumerate(lanes, start=1)}
    yield _metadata("process_name", process, 0, trace.title or "run")
    for (name, lane), thread in threads.items():
        yield _metadata("thread_name", process, thread, name if lanes[name, lane] == 1 else f"{name} #{lane + 1}")
        yield {"ph": "M", "pid": process, "tid": thread, "name": "thread_sort_index", "args": {"sort_index": thread}}
    for span in trace.spans(limit):
        yield _slice(span, process, threads[span.track, span.lane])
    for sample in trace.samples(limit):
        yield _count(sample, process)


def _lanes(trace: Trace) -> dict[tuple[str, int], int]:
    """Return {(track, lane): lanes of the track} for every lane, by track; every track has one at least."""
    width = [1] * len(trace.tracks)
    for block in trace.blocks:
        for track, lane in zip(block.segment.track.tolist(), block.segment.lane.tolist(), strict=True):
            width[track] = max(width[track], lane + 1)
    return {
        (track.name, lane): count for track, count in zip(trace.tracks, width, strict=True) for lane in range(count)
    }


def _metadata(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": process, "tid": thread, "name": what, "args": {"name": name}}


def _slice(span: Span, process: int, thread: int) -> dict[str, Any]:
    start, end = _nanoseconds(span.start_ps), _nanoseconds(span.end_ps)
    about: dict[str, Any] = {
        "phase": span.phase,
        "repeat": span.repeat,
        "start_ps": span.start_ps,
        "end_ps": span.end_ps,
    }
    if span.count > 1:
        about |= {"count": span.count, "busy_ps": span.busy_ps}
    return {
        "ph": "X",
        "pid": process,
        "tid": thread,
        "name": span.name,
        "cat": span.phase,
        "ts": start / 1000,
        "dur": (end - start) / 1000,
        "args": about,
    }


def _count(sample: Sample, process: int) -> dict[str, Any]:
    time = _nanoseconds(sample.time_ps) / 1000
    return {"ph": "C", "pid": process, "name": sample.counter, "ts": time, "args": {sample.unit: sample.value}}


def _nanoseconds(time_ps: int) -> int:
    """Return picoseconds rounded half up to nanoseconds."""
    return (time_ps + 500) // 1000
