"""Critical path and slack of a replay, waiting for devices included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsim.trace import Block, Segment, Trace, Track, critical_path, critical_time_ps, slack_ps


def segment(
    rows: Sequence[tuple[str, int, int, int]], edges: Sequence[tuple[int, int]] = (), views: Sequence[int] = ()
) -> Segment:
    """Return activities given as (name, track, start, end)."""
    shown = [index for index in range(len(rows)) if index not in views]
    return Segment(
        phase="p",
        names=[row[0] for row in rows],
        start_ps=np.array([row[2] for row in rows], dtype=np.int64),
        end_ps=np.array([row[3] for row in rows], dtype=np.int64),
        activity=np.array(shown, dtype=np.int64),
        track=np.array([rows[index][1] for index in shown], dtype=np.int64),
        makespan_ps=max((row[3] for row in rows), default=0),
        edges=np.array(edges, dtype=np.int64).reshape(-1, 2).T,
    )


def chain(part: Segment) -> list[tuple[str, str]]:
    return [(part.names[step.activity], step.reason) for step in critical_path(part)]


# a and b compete for one NPU; c needs a only, on the GPU; d needs b and c.
#   npu: a [0, 10]  b [10, 30]        gpu: c [10, 15]  d [30, 34]
SHARED = segment([("a", 0, 0, 10), ("b", 0, 10, 30), ("c", 1, 10, 15), ("d", 1, 30, 34)], [(0, 2), (1, 3), (2, 3)])


class TestCriticalPath:
    def test_waiting_for_a_device_is_on_the_path(self) -> None:
        """By dependencies alone the longest chain is b, d: 24 ps; here b waited for the NPU, so a counts: 34 ps."""
        assert chain(SHARED) == [("a", "start"), ("b", "device"), ("d", "dependency")]

    def test_it_fills_the_makespan_when_nothing_arrives_late(self) -> None:
        assert sum(step.end_ps - step.start_ps for step in critical_path(SHARED)) == SHARED.makespan_ps

    def test_a_transfer_is_a_link_of_the_chain(self) -> None:
        part = segment([("a", 0, 0, 10), ("b", 1, 17, 20), ("a", 2, 10, 17)], [(0, 2), (2, 1)])
        assert chain(part) == [("a", "start"), ("a", "dependency"), ("b", "dependency")]

    def test_a_view_is_passed_through(self) -> None:
        part = segment([("a", 0, 0, 10), ("view", -1, 10, 10), ("b", 0, 10, 12)], [(0, 1), (1, 2)], views=[1])
        assert chain(part) == [("a", "start"), ("view", "dependency"), ("b", "dependency")]

    def test_a_late_arrival_begins_the_chain(self) -> None:
        assert chain(segment([("a", 0, 0, 3), ("b", 0, 5, 9)])) == [("b", "arrival")]

    def test_instants_of_zero_length_do_not_trap_it(self) -> None:
        part = segment([("a", 0, 0, 4), ("x", 0, 4, 4), ("y", 0, 4, 4), ("b", 0, 4, 6)])
        assert chain(part) == [("a", "start"), ("b", "device")]

    def test_an_empty_replay_has_none(self) -> None:
        assert critical_path(segment([])) == ()

    def test_times_add_up_over_repeats(self) -> None:
        tracks = (Track(name="npu", kind="device"), Track(name="gpu", kind="device"))
        trace = Trace(tracks=tracks, blocks=(Block(segment=SHARED, start_ps=0, period_ps=34, repeat=50),))
        assert list(critical_time_ps(trace).items()) == [(("p", "b"), 1000), (("p", "a"), 500), (("p", "d"), 200)]
        assert sum(critical_time_ps(trace).values()) == trace.makespan_ps


class TestSlack:
    def test_critical_activities_have_none_and_others_up_to_their_reader(self) -> None:
        """Task c ends at 15 and d starts at 30: 15 ps."""
        assert slack_ps(SHARED).tolist() == [0, 0, 15, 0]

    def test_device_order_counts(self) -> None:
        """Nothing depends on x [0, 2], but y [2, 9] follows it on the NPU and must end by 10: 1 ps each."""
        part = segment([("x", 0, 0, 2), ("y", 0, 2, 9), ("z", 1, 0, 10)])
        assert slack_ps(part).tolist() == [1, 1, 0]
