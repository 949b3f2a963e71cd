"""What happened, from when to when: spans and samples on one clock, with repeats stored once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "Counter", "Sample", "Segment", "Span", "Trace", "Track"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One activity, or several summed up.

    Attributes:
        name: Operator or tensor, or what was summed up.
        track: Device or link.
        lane: Which of the track's parallel queues, from 0.
        phase: Name of the phase.
        repeat: Index of the repeat of the phase.
        start_ps: On the clock of the run.
        end_ps: On the clock of the run.
        count: How many activities; above 1 for a sum.
        busy_ps: Their time in all; `end_ps - start_ps` for one.
    """

    name: str
    track: str
    lane: int
    phase: str
    repeat: int
    start_ps: int
    end_ps: int
    count: int
    busy_ps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A value that holds from a time on."""

    counter: str
    unit: str
    time_ps: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What spans lie on: a device or a link."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What samples count: bytes in a memory, watts of a device."""

    name: str
    unit: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Segment:
    """One replay of a phase, from its own time 0. Activities are tasks, then transfers.

    Attributes:
        phase: Name of the phase.
        names: Of the activities.
        start_ps: Of each activity, (activities,).
        end_ps: Of each activity, (activities,).
        activity: Which activity each span is: a view has no span, a collective one on every participant, (spans,).
        track: Track of each span, (spans,).
        makespan_ps: When the replay ends.
        edges: (source, target) activities: the target starts after the source ends, (2, edges).
        samples: (time_ps, value) columns of each counter of the trace.
    """

    phase: str
    names: Sequence[str]
    start_ps: IntArray
    end_ps: IntArray
    activity: IntArray
    track: IntArray
    makespan_ps: int
    edges: IntArray = field(default_factory=lambda: np.zeros((2, 0), dtype=np.int64))
    samples: Sequence[tuple[IntArray, FloatArray]] = ()

    def __len__(self) -> int:
        return len(self.activity)

    @cached_property
    def lane(self) -> IntArray:
        """Lane of each span: the first of its track that is free when it starts, (spans,)."""
        lanes = np.zeros(len(self), dtype=np.int64)
        starts, ends = self.start_ps[self.activity], self.end_ps[self.activity]
        order = np.lexsort((ends, starts))
        free: dict[int, list[int]] = {}
        busy: dict[int, list[tuple[int, int]]] = {}
        opened: dict[int, int] = {}
        columns = zip(
            order.tolist(),
            self.track[order].tolist(),
            starts[order].tolist(),
            ends[order].tolist(),
            strict=True,
        )
        for span, track, start, end in columns:
            waiting, held = free.setdefault(track, []), busy.setdefault(track, [])
            while held and held[0][0] <= start:
                heappush(waiting, heappop(held)[1])
            if waiting:
                lane = heappop(waiting)
            else:
                lane = opened.get(track, 0)
                opened[track] = lane + 1
            lanes[span] = lane
            heappush(held, (end, lane))
        return lanes

    def busy_ps(self, tracks: int) -> list[int]:
        """Return the sum of the times of the spans on each track, (tracks,)."""
        took = (self.end_ps - self.start_ps)[self.activity]
        return [int(took[self.track == track].sum()) for track in range(tracks)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Equal replays of a phase, one after another, stored once.

    Attributes:
        segment: One of them.
        start_ps: When the first begins.
        period_ps: How long each takes.
        repeat: How many there are.
        first: Index of the first among the repeats of its phase.
    """

    segment: Segment
    start_ps: int
    period_ps: int
    repeat: int = 1
    first: int = 0

    @property
    def end_ps(self) -> int:
        """When the last ends."""
        return self.start_ps + self.repeat * self.period_ps

    def __len__(self) -> int:
        return self.repeat * len(self.segment)


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """A whole run. It iterates as `Span` objects, made on the way; the columns are inside.

    Attributes:
        tracks: Devices and links.
        counters: Memories and powers.
        blocks: What ran, in order of time.
        title: What to call the run.
    """

    tracks: tuple[Track, ...]
    counters: tuple[Counter, ...] = ()
    blocks: tuple[Block, ...] = ()
    title: str = ""

    def __len__(self) -> int:
        return sum(len(block) for block in self.blocks)

    def __iter__(self) -> Iterator[Span]:
        return self.spans()

    @property
    def makespan_ps(self) -> int:
        """End of the last block."""
        return max((block.end_ps for block in self.blocks), default=0)

    @property
    def busy_ps(self) -> Mapping[str, int]:
        """Sum of the times of all spans on each track, repeats included, exactly."""
        total = [0] * len(self.tracks)
        for block in self.blocks:
            for track, busy in enumerate(block.segment.busy_ps(len(total))):
                total[track] += block.repeat * busy
        return {track.name: busy for track, busy in zip(self.tracks, total, strict=True)}

    def then(self, other: Trace) -> Trace:
        """Return this trace followed by another one of the same system; nothing is copied."""
        offset = self.makespan_ps
        later = tuple(replace(block, start_ps=block.start_ps + offset) for block in other.blocks)
        return replace(self, blocks=self.blocks + later)

    def spans(self, limit: int | None = None) -> Iterator[Span]:
        """Yield spans in order of blocks; what exceeds the limit is summed up, one span a track and phase.

        Sums keep the number of activities and their time exactly.

        Args:
            limit: Most spans to yield one by one, in whole repeats; None for no limit.
        """
        rest: list[tuple[Block, int]] = []
        room = len(self) if limit is None else limit
        for block in self.blocks:
            size = len(block.segment)
            turns = min(block.repeat, room // size) if size else block.repeat
            room -= turns * size
            if turns and rest:
                yield from self._sums(rest)
                rest = []
            for turn in range(turns):
                yield from self._turn(block, turn)
            if turns < block.repeat:
                if rest and rest[-1][0].segment.phase != block.segment.phase:
                    yield from self._sums(rest)
                    rest = []
                rest.append((block, turns))
        yield from self._sums(rest)

    def _turn(self, block: Block, turn: int) -> Iterator[Span]:
        segment, offset = block.segment, block.start_ps + turn * block.period_ps
        starts, ends = (segment.start_ps + offset).tolist(), (segment.end_ps + offset).tolist()
        columns = (segment.activity, segment.track, segment.lane)
        for activity, track, lane in zip(*(column.tolist() for column in columns), strict=True):
            start, end = starts[activity], ends[activity]
            yield Span(
                name=segment.names[activity],
                track=self.tracks[track].name,
                lane=lane,
                phase=segment.phase,
                repeat=block.first + turn,
                start_ps=start,
                end_ps=end,
                count=1,
                busy_ps=end - start,
            )

    def _sums(self, rest: Sequence[tuple[Block, int]]) -> Iterator[Span]:
        """Yield one span a track for the repeats of blocks of one phase, from the given turn of each."""
        if not rest:
            return
        (first, turn), last = rest[0], rest[-1][0]
        repeats = sum(block.repeat - done for block, done in rest)
        counts, busy = [0] * len(self.tracks), [0] * len(self.tracks)
        for block, done in rest:
            for track, time in enumerate(block.segment.busy_ps(len(busy))):
                busy[track] += time * (block.repeat - done)
            for track, count in enumerate(np.bincount(block.segment.track, minlength=len(counts)).tolist()):
                counts[track] += count * (block.repeat - done)
        for track in range(len(self.tracks)):
            if counts[track]:
                yield Span(
                    name=f"{first.segment.phase} x{repeats}",
                    track=self.tracks[track].name,
                    lane=0,
                    phase=first.segment.phase,
                    repeat=first.first + turn,
                    start_ps=first.start_ps + turn * first.period_ps,
                    end_ps=last.end_ps,
                    count=counts[track],
                    busy_ps=busy[track],
                )

    def samples(self, limit: int | None = None) -> Iterator[Sample]:
        """Yield samples by block, at most `limit` in whole repeats; None for no limit."""
        room = limit
        for block in self.blocks:
            size = sum(len(times) for times, _ in block.segment.samples)
            turns = block.repeat if room is None or not size else min(block.repeat, room // size)
            room = None if room is None else room - turns * size
            for turn in range(turns):
                offset = block.start_ps + turn * block.period_ps
                for counter, (times, values) in zip(self.counters, block.segment.samples, strict=True):
                    for time, value in zip(times.tolist(), values.tolist(), strict=True):
                        yield Sample(counter=counter.name, unit=counter.unit, time_ps=time + offset, value=value)
