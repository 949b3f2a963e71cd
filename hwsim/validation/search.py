"""The least of a function of a few numbers, without derivatives.

Nelder-Mead with the adaptive coefficients of F. Gao, L. Han, "Implementing the Nelder-Mead simplex algorithm with
adaptive parameters", Computational Optimization and Applications 51, 2012, section 2.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["least"]

Floats = NDArray[np.float64]


def least(loss: Callable[[Floats], float], start: Floats, step: float, evaluations: int) -> tuple[Floats, float]:
    """Where the loss is least, and the loss there, after at most about so many evaluations.

    >>> place, value = least(lambda x: float(((x - 3.0) ** 2).sum()), np.zeros(2), 0.5, 200)
    >>> place.round(2).tolist(), round(value, 4)
    ([3.0, 3.0], 0.0)
    """
    size = len(start)
    if size == 0:
        return start, loss(start)
    expand, contract, shrink = 1.0 + 2.0 / size, 0.75 - 0.5 / size, 1.0 - 1.0 / max(size, 2)
    points = np.vstack([start, start + step * np.eye(size)])
    values = np.array([loss(point) for point in points])
    used = size + 1
    while used < evaluations and np.ptp(values) > 1e-6 * (abs(values.min()) + 1e-12):
        order = np.argsort(values, kind="stable")
        points, values = points[order], values[order]
        centre = points[:-1].mean(axis=0)
        away = centre - points[-1]
        mirrored = centre + away
        here, used = loss(mirrored), used + 1
        if here < values[0]:
            tried, factor = mirrored, expand
        elif here < values[-2]:
            points[-1], values[-1] = mirrored, here
            continue
        else:
            tried, factor = points[-1], contract if here < values[-1] else -contract
        further = centre + factor * away
        there, used = loss(further), used + 1
        if there < min(here, values[-1]):
            points[-1], values[-1] = further, there
        elif here < values[0]:
            points[-1], values[-1] = tried, here
        else:
            points[1:] = points[0] + shrink * (points[1:] - points[0])
            values[1:] = [loss(point) for point in points[1:]]
            used += size
    place = int(np.argmin(values))
    return points[place], float(values[place])
