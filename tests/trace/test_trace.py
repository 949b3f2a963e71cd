"""Spans of repeated phases: stored once, expanded on the way, summed up beyond a limit, exact in all."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwsim.trace import Block, Counter, Sample, Segment, Trace, Track


def segment(phase: str = "step") -> Segment:
    """Return a [0, 4] on npu, b [4, 9] and c [5, 7] on gpu, at once."""
    return Segment(
        phase=phase,
        names=["a", "b", "c"],
        start_ps=np.array([0, 4, 5]),
        end_ps=np.array([4, 9, 7]),
        activity=np.array([0, 1, 2]),
        track=np.array([0, 1, 1]),
        makespan_ps=9,
        samples=[(np.array([0, 4]), np.array([8.0, 3.0]))],
    )


def trace(repeat: int = 1, phase: str = "step") -> Trace:
    return Trace(
        tracks=(Track(name="npu", kind="device"), Track(name="gpu", kind="device")),
        counters=(Counter(name="dram in use", unit="bytes"),),
        blocks=(Block(segment=segment(phase), start_ps=0, period_ps=9, repeat=repeat),),
    )


class TestSpans:
    def test_a_trace_iterates_as_spans(self) -> None:
        rows = [(span.name, span.track, span.lane, span.start_ps, span.end_ps) for span in trace()]
        assert rows == [("a", "npu", 0, 0, 4), ("b", "gpu", 0, 4, 9), ("c", "gpu", 1, 5, 7)]

    def test_a_repeat_is_the_same_later(self) -> None:
        spans = list(trace(3))
        assert (len(trace(3)), len(spans)) == (9, 9)
        assert [
            replace(span, repeat=0, start_ps=span.start_ps - 18, end_ps=span.end_ps - 18) for span in spans[6:]
        ] == spans[:3]
        assert spans[-1].repeat == 2

    def test_phases_follow_each_other(self) -> None:
        joined = trace(2, "encode").then(trace(3, "decode"))
        assert joined.makespan_ps == 5 * 9
        assert [(block.segment.phase, block.start_ps) for block in joined.blocks] == [("encode", 0), ("decode", 18)]

    def test_beyond_the_limit_whole_repeats_are_summed_up_by_track(self) -> None:
        """Ten repeats of three spans, seven allowed: two repeats in full, eight as one span a track."""
        spans = list(trace(10).spans(limit=7))
        assert [span.name for span in spans] == ["a", "b", "c", "a", "b", "c", "step x8", "step x8"]
        npu, gpu = spans[6:]
        assert (npu.start_ps, npu.end_ps, npu.count, npu.busy_ps, npu.repeat) == (18, 90, 8, 8 * 4, 2)
        assert (gpu.start_ps, gpu.end_ps, gpu.count, gpu.busy_ps) == (18, 90, 16, 8 * 7)

    def test_single_repeats_of_one_phase_are_summed_up_together(self) -> None:
        """Decode steps that differ are blocks of one repeat each: beyond the limit they still make one span a track."""
        steps = trace()
        for _ in range(9):
            steps = steps.then(trace())
        spans = list(steps.spans(limit=3))
        assert [(span.name, span.start_ps, span.end_ps) for span in spans[3:]] == [("step x9", 9, 90)] * 2

    def test_sums_of_two_phases_stay_apart(self) -> None:
        spans = list(trace(2, "encode").then(trace(3, "decode")).spans(limit=0))
        assert [span.name for span in spans] == ["encode x2", "encode x2", "decode x3", "decode x3"]

    def test_an_empty_trace_has_no_spans(self) -> None:
        empty = Trace(tracks=())
        assert (list(empty), list(empty.samples()), empty.makespan_ps, empty.busy_ps) == ([], [], 0, {})

    @given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 130))
    def test_totals_are_exact_at_every_limit(self, first: int, second: int, limit: int) -> None:
        joined = trace(first, "encode").then(trace(second, "decode"))
        busy = {track.name: 0 for track in joined.tracks}
        count = 0
        for span in joined.spans(limit):
            busy[span.track] += span.busy_ps
            count += span.count
        assert busy == joined.busy_ps == {"npu": 4 * (first + second), "gpu": 7 * (first + second)}
        assert count == len(joined)


class TestLanes:
    @given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=20))
    def test_spans_of_a_lane_never_overlap(self, rows: list[tuple[int, int]]) -> None:
        starts = np.array([start for start, _ in rows], dtype=np.int64)
        part = Segment(
            phase="p",
            names=[str(index) for index in range(len(rows))],
            start_ps=starts,
            end_ps=starts + np.array([length for _, length in rows], dtype=np.int64),
            activity=np.arange(len(rows)),
            track=np.zeros(len(rows), dtype=np.int64),
            makespan_ps=40,
        )
        for lane in range(int(part.lane.max(initial=-1)) + 1):
            inside = sorted((int(part.start_ps[i]), int(part.end_ps[i])) for i in np.flatnonzero(part.lane == lane))
            assert all(end <= start for (_, end), (start, _) in pairwise(inside))


class TestSamples:
    def test_samples_repeat_with_their_phase(self) -> None:
        times = [(sample.time_ps, sample.value) for sample in trace(2).samples()]
        assert times == [(0, 8.0), (4, 3.0), (9, 8.0), (13, 3.0)]

    def test_the_limit_keeps_whole_repeats(self) -> None:
        assert list(trace(5).samples(limit=3)) == [
            Sample(counter="dram in use", unit="bytes", time_ps=0, value=8.0),
            Sample(counter="dram in use", unit="bytes", time_ps=4, value=3.0),
        ]
