"""The least of a function of a few numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.validation.search import least


def test_the_bottom_of_a_bent_valley_is_found() -> None:
    """Rosenbrock, 1960: the least is 0 at (1, 1)."""
    place, value = least(lambda x: float((1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2), np.zeros(2), 0.5, 600)
    assert place == pytest.approx([1.0, 1.0], abs=1e-2)
    assert value < 1e-4


def test_a_kink_is_no_obstacle() -> None:
    place, _ = least(lambda x: float(np.abs(x - [1.0, -2.0, 3.0]).sum()), np.zeros(3), 0.5, 800)
    assert place == pytest.approx([1.0, -2.0, 3.0], abs=1e-2)


def test_without_numbers_there_is_nothing_to_search() -> None:
    assert least(lambda _: 7.0, np.zeros(0), 0.5, 10)[1] == 7.0


def test_no_more_evaluations_than_a_few_beyond_the_limit() -> None:
    count = [0]

    def loss(x: np.ndarray) -> float:
        count[0] += 1
        return float(np.sin(7 * x).sum() + (x**2).sum())

    least(loss, np.ones(6), 0.5, 50)
    assert count[0] <= 50 + 8
