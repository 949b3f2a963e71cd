"""Targets of the accuracy table: what counts as met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.accuracy import Target
from hwsim.validation.score import Score, scored

_PHONE = Target(median=20, p90=50, rank=0.95)


def _errors(*percent: float) -> Score:
    return scored([100.0 + value for value in percent], [100.0] * len(percent))


@pytest.mark.parametrize(
    ("target", "errors", "met"),
    [
        (Target(mape=8), (8.0, -8.0), "yes"),
        (Target(mape=8), (8.0, -8.2), "no"),
        (Target(mape=0, note="100 % of rows exact"), (0.0, 0.0), "yes"),
        (Target(mape=0, note="100 % of rows exact"), (0.0, 0.01), "no"),
        (Target(median=12), (1.0, 2.0, 90.0), "yes"),
        (Target(), (1.0, 2.0), ""),
    ],
)
def test_a_target_is_met_when_no_asked_error_exceeds_it(target: Target, errors: tuple[float, ...], met: str) -> None:
    score = _errors(*errors)
    assert target.met(score, score.mape) == met


@pytest.mark.parametrize("worse", [{"median_ape": 20.1}, {"p90_ape": 50.1}, {"spearman": 0.94}])
def test_every_part_of_a_target_must_be_met(worse: dict[str, float]) -> None:
    good = replace(_errors(5.0, 5.0), median_ape=20.0, p90_ape=50.0, spearman=0.95)
    assert _PHONE.met(good, good.mape) == "yes"
    assert _PHONE.met(replace(good, **worse), good.mape) == "no"


def test_lines_that_count_together_are_met_by_their_mean() -> None:
    score = _errors(7.4)
    together = Target(mape=7, together=True)
    assert (together.met(score, 5.7), together.met(score, 7.2)) == ("yes", "no")
