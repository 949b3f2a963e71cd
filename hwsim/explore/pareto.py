"""Pareto fronts: the designs that no other beats in every objective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["pareto_front"]


def pareto_front(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the rows that no other row dominates, ascending by the first objective.

    Args:
        values: (designs, objectives), all to be minimized; rows with NaN or infinity never count.

    A row dominates another if it is nowhere worse and somewhere better (Pareto); of equal rows the first stays.

    >>> pareto_front(np.array([[1.0, 4.0], [2.0, 2.0], [3.0, 3.0], [4.0, 1.0]])).tolist()
    [0, 1, 3]
    """
    finite = np.flatnonzero(np.isfinite(values).all(axis=1))
    order = finite[np.lexsort(values[finite].T[::-1])]
    front: list[int] = []
    kept = np.empty((0, values.shape[1]))
    for index in order.tolist():
        row = values[index]
        if not (kept <= row).all(axis=1).any():
            front.append(index)
            kept = np.vstack([kept, row])
    return np.array(front, dtype=np.int64)
