"""Voltage follows the clock, power follows both, and a cap finds the clock between two points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.power import average_power_w, capped_blend, voltage

CLOCKS = np.array([1.0, 0.8, 0.6, 0.4])


def points(power_w: float) -> tuple[np.ndarray, np.ndarray]:
    """Energy and time of work that takes 1 s at full clock and draws `power_w` there, P ~ f V(f)^2."""
    time = 1.0 / CLOCKS
    volts = voltage(CLOCKS, 0.5)
    return power_w * volts**2, time


def test_voltage_falls_linearly_to_its_floor() -> None:
    assert voltage([1.0, 0.5, 0.0], 0.6).tolist() == [1.0, 0.8, 0.6]


def test_nothing_run_draws_idle_power_only() -> None:
    assert average_power_w(5.0, 0.0, 70.0) == 70.0


def test_average_power_is_idle_plus_energy_over_time() -> None:
    assert average_power_w(300.0, 2.0, 70.0) == 220.0


def test_work_within_the_cap_stays_at_full_clock() -> None:
    assert capped_blend(*points(100.0), idle_w=10.0, cap_w=110.0) == (0, 0, 0.0)


def test_a_cap_that_a_point_meets_exactly_takes_that_point_whole() -> None:
    energy, time = points(100.0)
    _, slow, share = capped_blend(energy, time, 0.0, float(energy[2] / time[2]))
    assert slow == 2
    assert share == pytest.approx(1.0)


def test_halfway_in_work_is_halfway_in_energy_and_time() -> None:
    """E = 4 J in 1 s, or 2 J in 2 s: half of each is 3 J in 1.5 s, which is 2 W."""
    fast, slow, share = capped_blend(np.array([4.0, 2.0]), np.array([1.0, 2.0]), 0.0, 2.0)
    assert (fast, slow) == (0, 1)
    assert share == pytest.approx(0.5)


def test_no_point_below_the_cap_leaves_the_slowest() -> None:
    assert capped_blend(*points(100.0), idle_w=10.0, cap_w=11.0) == (3, 3, 0.0)


@given(power=st.floats(1.0, 1e3), idle=st.floats(0.0, 50.0), cap=st.floats(1.0, 1e3))
def test_the_blend_meets_the_cap_wherever_one_can(power: float, idle: float, cap: float) -> None:
    energy, time = points(power)
    fast, slow, share = capped_blend(energy, time, idle, cap)
    joules = energy[fast] * (1 - share) + energy[slow] * share
    seconds = time[fast] * (1 - share) + time[slow] * share
    reached = float(average_power_w(joules, seconds, idle))
    lowest = float(average_power_w(energy[-1], time[-1], idle))
    assert reached <= max(cap, lowest) * (1 + 1e-9)
    assert 0.0 <= share <= 1.0


@given(power=st.floats(1.0, 1e3), caps=st.tuples(st.floats(1.0, 1e3), st.floats(1.0, 1e3)))
def test_a_tighter_cap_never_takes_less_time(power: float, caps: tuple[float, float]) -> None:
    energy, time = points(power)

    def seconds(cap: float) -> float:
        fast, slow, share = capped_blend(energy, time, 5.0, cap)
        return float(time[fast] * (1 - share) + time[slow] * share)

    assert seconds(min(caps)) >= seconds(max(caps)) * (1 - 1e-12)
