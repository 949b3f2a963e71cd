"""Residuals are found where there is one, are refused where there is none, and stay out of what nobody measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hwsim.validation.residual import fit_residual, residual_factor


def rows(count: int, wrong: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> tuple[dict, np.ndarray, np.ndarray]:
    """Shapes of m from 1 to 4,096 and n from 64 to 4,096, a formula, and a world that differs by ``wrong``."""
    rng = np.random.default_rng(count)
    m, n = 2.0 ** rng.uniform(0, 12, count), 2.0 ** rng.uniform(6, 12, count)
    formula = 1e-6 + 1e-12 * m * n
    noise = np.exp(rng.normal(0.0, 0.02, count))
    return {"m": m, "n": n, "k": np.full(count, 64.0)}, formula, formula * wrong(m, n) * noise


@pytest.mark.slow
def test_a_smooth_error_is_learned_down_to_the_noise_and_said_of_unseen_shapes() -> None:
    def wave(m: np.ndarray, _: np.ndarray) -> np.ndarray:
        return np.exp(0.4 * np.sin(np.log2(m)))

    found = fit_residual(*rows(400, wave), of=["linear.bf16"])
    assert found is not None
    assert found.formula_percent > 20.0
    assert found.percent < 4.0
    sizes, formula, measured = rows(150, wave)
    error = np.abs(formula * residual_factor(found.spec, sizes) / measured - 1.0).mean()
    assert error < 0.045
    assert found.spec.over == ("m", "n")
    assert len(found.spec.weights) <= 400


def test_a_formula_that_is_right_but_for_noise_stands_alone() -> None:
    sizes, formula, measured = rows(60, lambda m, _: np.ones_like(m))
    found = fit_residual(sizes, formula, measured, of=["linear.bf16"])
    if found is not None:
        assert np.abs(residual_factor(found.spec, sizes) - 1.0).max() < 0.03


def test_shapes_far_from_the_measured_ones_get_the_formula_alone() -> None:
    found = fit_residual(*rows(200, lambda m, _: np.full_like(m, 1.5)), of=["linear.bf16"])
    assert found is not None
    far = {"m": np.array([1e6]), "n": np.array([1e7])}
    assert residual_factor(found.spec, far).tolist() == [1.0]


def test_a_row_that_is_wildly_off_does_not_bend_its_neighbours_beyond_measure() -> None:
    sizes, formula, measured = rows(200, lambda m, _: np.ones_like(m))
    measured[0] *= 1e4
    found = fit_residual(sizes, formula, measured, of=["linear.bf16"])
    if found is not None:
        assert max(map(abs, found.spec.weights)) <= 1.4


def test_few_rows_make_no_residual() -> None:
    assert fit_residual(*rows(9, lambda m, _: np.full_like(m, 2.0)), of=["linear.bf16"]) is None
