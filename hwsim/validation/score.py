"""How far predictions are from measurements: errors in per cent of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Score", "ranks", "scored", "spearman"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Of ``n`` rows: mean, median and 90th percentile of the absolute error, the mean signed error, all in per cent.

    ``spearman`` is the rank correlation; not a number where there are fewer than three rows or all are equal.
    """

    n: int
    mape: float
    median_ape: float
    p90_ape: float
    bias: float
    spearman: float


def scored(predicted: Sequence[float], measured: Sequence[float]) -> Score:
    """The score of some rows.

    >>> found = scored([11.0, 18.0, 40.0], [10.0, 20.0, 40.0])
    >>> found.n, round(found.mape, 2), round(found.bias, 2), found.spearman
    (3, 6.67, 0.0, 1.0)
    """
    truth = np.asarray(measured, dtype=np.float64)
    signed = 100.0 * (np.asarray(predicted, dtype=np.float64) / truth - 1.0)
    errors = np.abs(signed)
    return Score(
        n=len(truth),
        mape=math.fsum(errors.tolist()) / len(truth),
        median_ape=float(np.median(errors)),
        p90_ape=float(np.quantile(errors, 0.9)),
        bias=math.fsum(signed.tolist()) / len(truth),
        spearman=spearman(predicted, measured),
    )


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of theirs.

    >>> ranks([3.0, 1.0, 3.0]).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    mean: NDArray[np.float64] = np.cumsum(count) - (count - 1) / 2.0
    return mean[place]


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Correlation of ranks (C. Spearman, The Proof and Measurement of Association between Two Things, 1904)."""
    if len(one) < 3:
        return math.nan
    a, b = (values - values.mean() for values in (ranks(one), ranks(other)))
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return min(1.0, float(a @ b) / spread) if spread else math.nan
