"""The roofline, and how well compute and memory time hide one another.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model for
multicore architectures", CACM 52(4), 2009, equation 1. Every argument broadcasts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["KernelTime", "overlap_time_s", "ridge_flop_per_byte", "roofline_time_s"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTime:
    """One kernel alone: ``kernel_s`` joins compute and memory time, ``fixed_s`` comes on top."""

    fixed_s: Floats
    compute_s: Floats
    memory_s: Floats
    kernel_s: Floats

    @property
    def time_s(self) -> Floats:
        """Fixed cost and kernel together."""
        return self.fixed_s + self.kernel_s


def roofline_time_s(
    flop: ArrayLike, moved_bytes: ArrayLike, flop_per_s: ArrayLike, bandwidth_bytes_per_s: ArrayLike
) -> Floats:
    """Time under perfect overlap: the longer of computing and moving (Williams 2009, equation 1).

    >>> float(roofline_time_s(2e12, 1e12, 1e12, 1e12))
    2.0
    """
    return np.maximum(
        np.true_divide(flop, flop_per_s, dtype=np.float64),
        np.true_divide(moved_bytes, bandwidth_bytes_per_s, dtype=np.float64),
    )


def ridge_flop_per_byte(flop_per_s: ArrayLike, bandwidth_bytes_per_s: ArrayLike) -> Floats:
    """Intensity at which the two roofs meet: below it a kernel is memory-bound.

    >>> float(ridge_flop_per_byte(989e12, 3.35e12)) // 1
    295.0
    """
    return np.true_divide(flop_per_s, bandwidth_bytes_per_s, dtype=np.float64)


def overlap_time_s(first_s: ArrayLike, second_s: ArrayLike, sharpness: ArrayLike) -> Floats:
    """(first^p + second^p)^(1/p) for ``sharpness`` p: 1 adds them, infinity takes the longer one.

    A smooth form of the roofline's corner, where real kernels reach neither roof (MODELS.md section 1);
    computed from the ratio of the two, so that tiny times do not underflow.

    >>> float(overlap_time_s(3.0, 4.0, 2.0)), float(overlap_time_s(3.0, 4.0, 1.0))
    (5.0, 7.0)
    """
    long_s = np.maximum(first_s, second_s, dtype=np.float64)
    short_s = np.minimum(first_s, second_s, dtype=np.float64)
    ratio = np.divide(
        short_s, long_s, out=np.zeros_like(long_s), where=np.logical_and(long_s > 0.0, np.isfinite(long_s))
    )
    p = np.asarray(sharpness, dtype=np.float64)
    return np.asarray(long_s * (1.0 + ratio**p) ** (1.0 / p), dtype=np.float64)
