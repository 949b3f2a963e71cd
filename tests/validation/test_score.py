"""Scores, worked by hand."""

from __future__ import annotations

import math

import pytest

from hwsim.validation.score import scored, spearman


def test_a_score_by_hand() -> None:
    """Errors +50, -20, 0, +10 and 0 per cent: mean of sizes 16, median 10, bias 8.

    The 90th percentile lies 0.6 of the way from the fourth size (20) to the fifth (50).
    """
    found = scored([15.0, 8.0, 30.0, 44.0, 50.0], [10.0, 10.0, 30.0, 40.0, 50.0])
    assert found.n == 5
    assert found.mape == pytest.approx(16.0)
    assert found.median_ape == pytest.approx(10.0)
    assert found.p90_ape == pytest.approx(38.0)
    assert found.bias == pytest.approx(8.0)


def test_ranks_that_agree_correlate_whatever_the_sizes() -> None:
    assert spearman([1.0, 2.0, 1000.0], [5.0, 6.0, 7.0]) == 1.0
    assert spearman([1.0, 2.0, 3.0], [9.0, 5.0, 1.0]) == pytest.approx(-1.0)


def test_ties_share_their_rank() -> None:
    """Ranks 1.5, 1.5, 3 against 1, 2, 3: covariance 1.5 over sqrt(1.5 x 2)."""
    assert spearman([4.0, 4.0, 8.0], [1.0, 2.0, 3.0]) == pytest.approx(1.5 / math.sqrt(3.0))


def test_there_is_no_correlation_of_two_rows_or_of_equal_ones() -> None:
    assert math.isnan(spearman([1.0, 2.0], [1.0, 2.0]))
    assert math.isnan(spearman([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]))
