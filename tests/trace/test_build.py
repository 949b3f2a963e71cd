"""From the records of phases to one trace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwsim.trace import Columns, Record, Trace, critical_path, trace_of


def record(*, repeats: int = 2, held: np.ndarray | None = None) -> Record:
    """Return a view, then a [0, 10] ps on npu (6 pJ), a copy [10, 13], and b [13, 18] on gpu (10 pJ)."""
    zero = np.zeros(3)
    return Record(
        phase="step",
        index=4,
        repeats=repeats,
        offset_ps=100,
        period_ps=18,
        names=["view", "a", "b"],
        kinds=["reshape", "linear", "relu"],
        device=np.array([-1, 0, 1]),
        start_ps=np.array([0, 0, 13]),
        end_ps=np.array([0, 10, 18]),
        columns=Columns(
            alone_s=np.array([0.0, 10e-12, 5e-12]),
            dram_bytes=zero,
            compute_j=np.array([0.0, 4e-12, 10e-12]),
            memory_j=np.array([0.0, 2e-12, 0.0]),
            link_j=zero,
            active_j=zero,
            flop=zero,
            utilization=zero,
            bound=np.zeros(3, dtype=np.int8),
        ),
        busy_ps=np.array([10, 5]),
        transfers=[(0, 64.0, 10, 13, "a")],
        memory_peak_bytes=np.array([64]),
        memory_samples=[(np.array([0, 18]), np.array([64, 0]))],
        clock=np.ones(2),
        policy="single",
        held=held,
        edges=np.array([[0, 1, 3], [1, 3, 2]]),
    )


def trace(**changes: object) -> Trace:
    return trace_of([record(**changes)], devices=["npu", "gpu"], links=["npu>gpu"], memories=["dram"], title="phone")


def test_tasks_and_transfers_become_spans_and_views_do_not() -> None:
    rows = [(span.name, span.track, span.start_ps, span.end_ps, span.repeat) for span in trace()]
    assert rows[:3] == [("a", "npu", 100, 110, 4), ("b", "gpu", 113, 118, 4), ("a", "link npu>gpu", 110, 113, 4)]
    assert rows[3] == ("a", "npu", 118, 128, 5)


def test_a_collective_shows_on_every_participant() -> None:
    held = np.array([[1, 2, 2], [0, 0, 1]])
    rows = [(span.name, span.track) for span in trace(repeats=1, held=held)]
    assert rows == [("a", "npu"), ("b", "npu"), ("b", "gpu"), ("a", "link npu>gpu")]


def test_memory_and_power_become_counters() -> None:
    """Task a spends 6 pJ in 10 ps: 0.6 W; task b 10 pJ in 5 ps: 2 W."""
    rows = [(s.counter, s.unit, s.time_ps, round(s.value, 9)) for s in trace(repeats=1).samples()]
    assert rows == [
        ("dram in use", "bytes", 100, 64.0),
        ("dram in use", "bytes", 118, 0.0),
        ("npu dynamic power", "watts", 100, 0.6),
        ("npu dynamic power", "watts", 110, 0.0),
        ("gpu dynamic power", "watts", 113, 2.0),
        ("gpu dynamic power", "watts", 118, 0.0),
    ]


def test_power_returns_to_exactly_zero() -> None:
    """Three tasks overlap on one device: 0.1 + 0.2 + 0.3 - 0.1 - 0.2 - 0.3 leaves 2.8e-17 in floats."""
    base = record(repeats=1)
    columns = replace(base.columns, compute_j=np.array([1e-12, 2.2e-12, 3.6e-12]), memory_j=np.zeros(3))
    times = {"start_ps": np.array([0, 0, 0]), "end_ps": np.array([10, 11, 12]), "device": np.zeros(3, dtype=np.int64)}
    busy = trace_of([replace(base, columns=columns, **times)], devices=["npu"], links=["l"], memories=["dram"])
    assert [s.value for s in busy.samples() if s.counter == "npu dynamic power"][-1] == 0.0


def test_the_edges_lead_through_the_transfer() -> None:
    (block,) = trace().blocks
    steps = [(block.segment.names[step.activity], step.reason) for step in critical_path(block.segment)]
    assert steps == [("view", "start"), ("a", "dependency"), ("a", "dependency"), ("b", "dependency")]
