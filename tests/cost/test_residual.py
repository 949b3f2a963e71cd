"""The lattice that corrects a formula: exact at its knots, linear between, gone beyond, never beyond its weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwsim.cost.residual import hats, lattice_of, log_residual

GRID = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])


def two_axes(*points: tuple[float, float]) -> list[float]:
    """Knots at m = 2, 8 and k = 1, 4, 16."""
    lattice = lattice_of([2.0, 1.0], [8.0, 16.0], [2, 3], GRID)
    m, k = (np.array(column) for column in zip(*points, strict=True))
    return [round(value, 12) for value in log_residual(lattice, [m, k]).tolist()]


def test_a_knot_has_its_weight() -> None:
    assert two_axes((2.0, 1.0), (2.0, 16.0), (8.0, 1.0), (8.0, 4.0)) == [0.1, 0.3, 0.4, 0.5]


def test_half_way_between_knots_in_the_logarithm_is_half_of_each() -> None:
    assert two_axes((4.0, 4.0), (2.0, 2.0), (4.0, 8.0)) == [0.35, 0.15, 0.4]


def test_the_correction_falls_to_nothing_within_one_spacing_of_the_lattice() -> None:
    assert two_axes((16.0, 4.0), (32.0, 4.0), (8.0, 64.0), (8.0, 1e12), (0.5, 4.0)) == [0.25, 0.0, 0.0, 0.0, 0.0]


@given(arrays(float, 12, elements=st.floats(-1.0, 1.0)), st.floats(1.0, 1e9), st.floats(1.0, 1e9))
def test_no_size_gets_more_than_the_weights_say(weights: np.ndarray, m: float, k: float) -> None:
    lattice = lattice_of([4.0, 4.0], [4096.0, 65536.0], [3, 4], weights)
    (value,) = log_residual(lattice, [np.array([m]), np.array([k])])
    assert min(weights.min(), 0.0) - 1e-12 <= value <= max(weights.max(), 0.0) + 1e-12


def test_hats_times_weights_are_the_correction() -> None:
    rng = np.random.default_rng(3)
    lattice = lattice_of([2.0, 8.0, 1.0], [64.0, 512.0, 4096.0], [3, 2, 5], weights := rng.normal(size=30))
    sizes = [2.0 ** rng.uniform(-1.0, 13.0, 200) for _ in range(3)]
    np.testing.assert_allclose(hats(lattice, sizes) @ weights, log_residual(lattice, sizes), atol=1e-12)
