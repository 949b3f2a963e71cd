"""Which designs no other beats."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim.explore.pareto import pareto_front


def dominated(values: np.ndarray, row: int) -> bool:
    """Compare one row with every other, as the definition says."""
    nowhere_worse = (values <= values[row]).all(axis=1)
    somewhere_better = (values < values[row]).any(axis=1)
    return bool((nowhere_worse & somewhere_better).any())


def test_a_point_beaten_in_both_objectives_is_left_out() -> None:
    values = np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [4.0, 1.0]])
    assert pareto_front(values).tolist() == [0, 1, 3]


def test_of_equal_designs_the_first_stays() -> None:
    assert pareto_front(np.array([[1.0, 1.0], [1.0, 1.0]])).tolist() == [0]


def test_designs_without_a_finite_figure_never_count() -> None:
    values = np.array([[np.nan, 0.0], [np.inf, 0.0], [5.0, 5.0]])
    assert pareto_front(values).tolist() == [2]


def test_no_design_no_front() -> None:
    assert pareto_front(np.zeros((0, 2))).tolist() == []


def test_one_objective_leaves_its_best() -> None:
    assert pareto_front(np.array([[3.0], [1.0], [2.0]])).tolist() == [1]


@given(arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 4).map(float)))
def test_the_front_is_what_the_definition_says(values: np.ndarray) -> None:
    expected = {tuple(row) for i, row in enumerate(values) if not dominated(values, i)}
    front = pareto_front(values)
    assert {tuple(row) for row in values[front]} == expected
    assert len(front) == len(expected)


def test_the_front_is_ordered_by_the_first_objective() -> None:
    values = np.array([[4.0, 1.0], [1.0, 4.0], [2.0, 2.0]])
    assert values[pareto_front(values), 0].tolist() == [1.0, 2.0, 4.0]
