"""Dynamic voltage and frequency scaling, and the power cap.

P = P_idle + P_active + a C V^2 f: Horowitz, Indermaur, Gonzalez, "Low-power digital design", 1994, with the
supply voltage falling linearly with the clock down to a floor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["average_power_w", "capped_blend", "leakage_w", "voltage"]


def voltage(clock: ArrayLike, floor: float) -> NDArray[Any]:
    """Supply voltage relative to nominal at a clock relative to nominal: floor + (1 - floor) clock.

    >>> float(voltage(0.5, 0.6))
    0.8
    """
    return floor + (1.0 - floor) * np.asarray(clock, dtype=np.float64)


def leakage_w(nominal_w: float, volts: float) -> float:
    """Static power at a supply voltage relative to nominal: the leakage current does not change, P = V I.

    Butts and Sohi, "A static power model for architects", 2000, eq. 1.

    >>> leakage_w(2.0, 0.75)
    1.5
    """
    return nominal_w * volts


def average_power_w(energy_j: ArrayLike, time_s: ArrayLike, idle_w: float) -> NDArray[Any]:
    """Idle power plus dynamic energy spread over the time; idle power alone when nothing ran."""
    time = np.asarray(time_s, dtype=np.float64)
    energy = np.asarray(energy_j, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(time > 0.0, idle_w + energy / time, idle_w)


def capped_blend(energy_j: NDArray[Any], time_s: NDArray[Any], idle_w: float, cap_w: float) -> tuple[int, int, float]:
    """Which two neighbouring operating points share the work so that the average power meets the cap.

    Points are ordered from the fastest to the slowest. Work is dithered: a share of it runs at the slower
    point. Solves idle + E(x) / T(x) = cap for the share x, with E and T linear between the two points.

    Returns:
        (fast, slow, share): indices and the share of work at ``slow``; (0, 0, 0.0) when the cap does not bind,
        (last, last, 0.0) when even the slowest point exceeds it.
    """
    power = average_power_w(energy_j, time_s, idle_w)
    if power[0] <= cap_w:
        return 0, 0, 0.0
    below = np.flatnonzero(power <= cap_w)
    if below.size == 0:
        last = len(power) - 1
        return last, last, 0.0
    slow = int(below[0])
    fast = slow - 1
    budget = cap_w - idle_w
    over = float(energy_j[fast] - budget * time_s[fast])
    under = float(budget * time_s[slow] - energy_j[slow])
    return fast, slow, over / (over + under)
