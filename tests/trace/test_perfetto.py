"""The trace file that a viewer opens."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.trace import Block, Counter, Segment, Trace, Track, perfetto_events, write_perfetto


def trace(repeat: int = 1, value: float = 8.0) -> Trace:
    """Return a [0, 1.6] ns and b [1.6, 4] ns on npu, with c [1, 2] ns beside them."""
    part = Segment(
        phase="step",
        names=["a", 'quote " and \\', "c"],
        start_ps=np.array([0, 1_600, 1_000]),
        end_ps=np.array([1_600, 4_000, 2_000]),
        activity=np.array([0, 1, 2]),
        track=np.array([0, 0, 0]),
        makespan_ps=4_000,
        samples=[(np.array([0]), np.array([value]))],
    )
    return Trace(
        tracks=(Track(name="npu", kind="device"), Track(name="link npu>gpu", kind="link")),
        counters=(Counter(name="dram in use", unit="bytes"),),
        blocks=(Block(segment=part, start_ps=0, period_ps=4_000, repeat=repeat),),
        title="phone",
    )


def slices(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == "X"]


def test_times_are_microseconds_with_nanosecond_resolution() -> None:
    first, second, third = slices(list(perfetto_events(trace())))
    assert (first["ts"], first["dur"]) == (0.0, 0.002)
    assert (second["ts"], second["dur"]) == (0.002, 0.002)
    assert (third["ts"], third["dur"]) == (0.001, 0.001)


def test_exact_times_are_kept_beside() -> None:
    assert slices(list(perfetto_events(trace())))[1]["args"] == {
        "phase": "step",
        "repeat": 0,
        "start_ps": 1600,
        "end_ps": 4000,
    }


def test_slices_of_a_thread_never_overlap() -> None:
    by_thread: dict[int, list[tuple[float, float]]] = {}
    for event in slices(list(perfetto_events(trace(40)))):
        by_thread.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    assert len(by_thread) == 2
    for spans in by_thread.values():
        spans.sort()
        assert all(end <= start + 1e-9 for (_, end), (start, _) in pairwise(spans))


def test_every_track_has_a_name() -> None:
    events = list(perfetto_events(trace()))
    names = [event["args"]["name"] for event in events if event["name"] in {"process_name", "thread_name"}]
    assert names == ["phone", "npu #1", "npu #2", "link npu>gpu"]


def test_counters_carry_their_unit() -> None:
    (count,) = [event for event in perfetto_events(trace()) if event["ph"] == "C"]
    assert (count["name"], count["args"]) == ("dram in use", {"bytes": 8.0})


def test_the_file_is_json_with_a_process_per_trace(tmp_path: Path) -> None:
    write_perfetto([trace(), trace(3)], tmp_path / "trace.json")
    document = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert document["displayTimeUnit"] == "ns"
    assert sorted({event["pid"] for event in document["traceEvents"]}) == [1, 2]
    assert len(slices(document["traceEvents"])) == 3 + 9
    assert document["traceEvents"][-1]["ph"] == "C"


def test_an_empty_list_of_traces_is_json_too(tmp_path: Path) -> None:
    write_perfetto([], tmp_path / "trace.json")
    assert json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"] == []


def test_long_repeats_are_summed_up(tmp_path: Path) -> None:
    write_perfetto(trace(10_000), tmp_path / "trace.json", limit=30)
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    last = slices(events)[-1]
    assert len(slices(events)) == 31
    assert (last["name"], last["args"]["count"], last["ts"], last["dur"]) == ("step x9990", 29_970, 0.04, 39.96)


def test_not_a_number_never_reaches_the_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_perfetto(trace(value=float("nan")), tmp_path / "trace.json")
