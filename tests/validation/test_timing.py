"""How graphs are timed: in turn, with fresh inputs, on arrays that make sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.graph.work import Work
from hwsim.validation import timing
from hwsim.validation.timing import NumpyBackend, drawn_arrays, times_in_turn_s


class Recorder:
    """A backend that runs nothing and remembers what it was given."""

    name, device_name = "recorder", ""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Mapping[str, Any]]] = []

    def prepared(self, graph: hwsim.Graph, arrays: Mapping[str, Any]) -> Callable[[], object]:
        return lambda: self.seen.append((graph.name, arrays))

    def given(self, work: Work) -> Mapping[str, float]:
        return {}


GRAPHS = [hwsim.ops.linear(m=2, n=3, k=4, dtype="fp32"), hwsim.ops.relu(elements=8, dtype="fp32")]


def test_graphs_run_in_turn_and_one_round_more_than_counts() -> None:
    backend, told = Recorder(), []
    times = times_in_turn_s(GRAPHS, backend, rounds=2, done=told.append)
    assert [name for name, _ in backend.seen] == ["linear", "relu"] * 3
    assert told == [1] * 6
    assert len(times) == 2


def test_inputs_are_new_arrays_each_time_and_weights_are_not() -> None:
    backend = Recorder()
    times_in_turn_s(GRAPHS[:1], backend, rounds=1)
    (_, first), (_, second) = backend.seen
    weights = [name for name in first if GRAPHS[0].tensors[name].role == "weight"]
    assert weights
    assert all(first[name] is second[name] for name in weights)
    assert first["x"] is not second["x"]
    assert np.array_equal(first["x"], second["x"])


def test_the_shortest_round_counts_and_the_first_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock starts at 0 (not counted), 10 and 20 seconds, and the rounds that count end at 15 and 23."""
    ticks = iter([0.0, 10.0, 15.0, 20.0, 23.0])
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    backend = Recorder()
    graph = GRAPHS[1]
    assert times_in_turn_s([graph], backend, rounds=2) == [3.0]


def test_indices_stay_within_the_table_they_look_up() -> None:
    graph = hwsim.ops.embedding(rows=500, cols=4, vocab=3, dtype="fp32")
    arrays = drawn_arrays(graph)
    (ids,) = (array for array in arrays.values() if array.dtype.kind == "i")
    assert set(np.unique(ids)) == {0, 1, 2}


def test_the_numpy_backend_runs_the_references() -> None:
    graph = GRAPHS[0]
    arrays = drawn_arrays(graph)
    (value,) = NumpyBackend().prepared(graph, arrays)().values()  # type: ignore[attr-defined]
    weights = [arrays[name] for name in arrays if name != "x"]
    assert np.allclose(value, arrays["x"] @ weights[0].T + weights[1], rtol=1e-5)
