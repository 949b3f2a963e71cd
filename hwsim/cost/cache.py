"""What a last-level cache saves: the resident share of a working set, and the mean cost of a byte.

Source: the residency ramp and the speed-up of resident bytes are the L2 terms of the GEMM and softmax models
in this project's model notes (fitted on L40S, where L2 serves 2.4 times DRAM's bandwidth), mixed
harmonically as in J. Hennessy, D. Patterson, "Computer Architecture", average memory access time.
Every argument broadcasts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["mean_s_per_byte", "resident_share"]

Floats = NDArray[np.float64]


def resident_share(
    working_set_bytes: ArrayLike, cache_bytes: ArrayLike, all_below: ArrayLike = 0.8, none_above: ArrayLike = 1.0
) -> Floats:
    """Share of the bytes that hits a cache, 0..1.

    All of them while the working set is at most ``all_below`` of the capacity, none from ``none_above`` on
    (an LRU cache cycled through more than it holds hits nothing), linear between. No cache: no hits.

    >>> float(resident_share(9.0, 10.0, 0.8, 1.0))
    0.5
    """
    capacity = np.asarray(cache_bytes, dtype=np.float64)
    low, high = np.multiply(all_below, capacity), np.multiply(none_above, capacity)
    width = np.where(capacity > 0.0, np.maximum(high - low, 1e-9 * capacity), 1.0)
    return np.where(capacity > 0.0, np.clip((high - working_set_bytes) / width, 0.0, 1.0), 0.0)


def mean_s_per_byte(resident: ArrayLike, bandwidth_bytes_per_s: ArrayLike, speedup: ArrayLike) -> Floats:
    """Mean seconds a byte takes when the ``resident`` share moves ``speedup`` times faster than the rest.

    >>> float(mean_s_per_byte(0.5, 1.0, 2.0))
    0.75
    """
    share = np.asarray(resident, dtype=np.float64)
    return np.asarray(
        (share / np.asarray(speedup, dtype=np.float64) + (1.0 - share)) / np.asarray(bandwidth_bytes_per_s),
        dtype=np.float64,
    )
