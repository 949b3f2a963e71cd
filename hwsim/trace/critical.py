"""The chain of activities that set the length of a replay, and how much room the others had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hwsim.trace.trace import IntArray, Segment, Trace

__all__ = ["Step", "critical_path", "critical_time_ps", "slack_ps"]

Reason = Literal["start", "dependency", "device", "arrival"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One activity of a critical path.

    Attributes:
        activity: Its index in the segment.
        start_ps: When it started.
        end_ps: When it ended.
        reason: What it waited for last: the end of an activity it depends on ("dependency"), the device ("device"), its
            own time of arrival ("arrival"), or nothing ("start").
    """

    activity: int
    start_ps: int
    end_ps: int
    reason: Reason


def critical_path(segment: Segment) -> tuple[Step, ...]:
    """Return the chain that ends last, in order of time, waiting for devices included.

    Walks back from the last end: what ended just when an activity started is what it waited for, a dependency before a
    device. In a run with shared devices this chain is longer than the longest path of the graph (Kelley and Walker,
    Critical-path planning and scheduling, 1959, which has no resources).
    """
    if not segment.names:
        return ()
    starts, ends = segment.start_ps.tolist(), segment.end_ps.tolist()
    before: list[list[int]] = [[] for _ in segment.names]
    for source, target in segment.edges.T.tolist():
        before[target].append(source)
    tracks: list[list[int]] = [[] for _ in segment.names]
    ended: dict[tuple[int, int], list[int]] = {}
    for activity, track in zip(segment.activity.tolist(), segment.track.tolist(), strict=True):
        tracks[activity].append(track)
        ended.setdefault((track, ends[activity]), []).append(activity)
    current = max(range(len(ends)), key=lambda activity: (ends[activity], -starts[activity], -activity))
    chain: list[Step] = []
    seen = bytearray(len(segment.names))
    while True:
        seen[current] = 1
        start = starts[current]
        needed = [a for a in before[current] if ends[a] == start and not seen[a]]
        held = [a for track in tracks[current] for a in ended.get((track, start), ()) if not seen[a]]
        reason: Reason = "dependency" if needed else "device" if held else "arrival" if start else "start"
        chain.append(Step(activity=current, start_ps=start, end_ps=ends[current], reason=reason))
        if not needed and not held:
            return tuple(reversed(chain))
        current = min(needed or held)


def critical_time_ps(trace: Trace) -> dict[tuple[str, str], int]:
    """Return time on the critical path by (phase, activity), repeats included, the longest first.

    Phases follow each other, so the critical path of a run is that of its phases, one after another.
    """
    total: dict[tuple[str, str], int] = {}
    for block in trace.blocks:
        for step in critical_path(block.segment):
            key = (block.segment.phase, block.segment.names[step.activity])
            total[key] = total.get(key, 0) + block.repeat * (step.end_ps - step.start_ps)
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def slack_ps(segment: Segment) -> IntArray:
    """Return how much later each activity could start without moving the makespan, (activities,).

    The order on every device, and how long sharing made each activity take, stay as they were.
    """
    starts, ends = segment.start_ps.tolist(), segment.end_ps.tolist()
    after: list[list[int]] = [[] for _ in segment.names]
    waits = [0] * len(segment.names)
    for source, target in [*segment.edges.T.tolist(), *_device_order(segment)]:
        after[source].append(target)
        waits[source] += 1
    before: list[list[int]] = [[] for _ in segment.names]
    for source, targets in enumerate(after):
        for target in targets:
            before[target].append(source)
    latest = [segment.makespan_ps] * len(segment.names)
    ready = [activity for activity, count in enumerate(waits) if not count]
    while ready:
        activity = ready.pop()
        latest_start = latest[activity] - (ends[activity] - starts[activity])
        for source in before[activity]:
            latest[source] = min(latest[source], latest_start)
            waits[source] -= 1
            if not waits[source]:
                ready.append(source)
    return np.array([late - end for late, end in zip(latest, ends, strict=True)], dtype=np.int64)


def _device_order(segment: Segment) -> Sequence[tuple[int, int]]:
    """Return (earlier, later) activities that follow each other on a lane of a track."""
    owner = segment.activity
    order = np.lexsort((segment.end_ps[owner], segment.start_ps[owner], segment.lane, segment.track))
    same = (np.diff(segment.track[order]) == 0) & (np.diff(segment.lane[order]) == 0)
    earlier, later = segment.activity[order][:-1][same], segment.activity[order][1:][same]
    return list(zip(earlier.tolist(), later.tolist(), strict=True))
