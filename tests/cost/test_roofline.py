from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.roofline import KernelTime, overlap_time_s, ridge_flop_per_byte, roofline_time_s

seconds = st.floats(1e-12, 1e3)


def test_work_below_the_ridge_takes_its_bytes_over_bandwidth():
    """10 FLOP and 10 bytes on 10 FLOP/s and 5 bytes/s: 1 s against 2 s."""
    assert roofline_time_s(10.0, 10.0, 10.0, 5.0) == 2.0


def test_work_above_the_ridge_takes_its_operations_over_the_peak_rate():
    """100 FLOP and 10 bytes on 10 FLOP/s and 5 bytes/s: 10 s against 2 s."""
    assert roofline_time_s(100.0, 10.0, 10.0, 5.0) == 10.0


def test_the_ridge_is_where_both_roofs_take_equally_long():
    ridge = float(ridge_flop_per_byte(989e12, 3.35e12))
    assert roofline_time_s(ridge * 1e9, 1e9, 989e12, 3.35e12) == pytest.approx(1e9 / 3.35e12)
    assert ridge == pytest.approx(295.2, rel=1e-3)


def test_infinite_bandwidth_leaves_compute_alone():
    assert roofline_time_s(10.0, 1e30, 10.0, np.inf) == 1.0


def test_problems_and_chips_broadcast_to_a_table():
    times = roofline_time_s(np.array([[1.0, 2.0, 3.0]]), 0.0, np.array([[1.0], [2.0]]), 1.0)
    assert times.tolist() == [[1.0, 2.0, 3.0], [0.5, 1.0, 1.5]]


def test_a_three_four_five_triangle_at_sharpness_two():
    assert overlap_time_s(3.0, 4.0, 2.0) == 5.0


def test_sharpness_one_adds_and_infinite_sharpness_takes_the_longer():
    assert overlap_time_s(3.0, 4.0, 1.0) == 7.0
    assert overlap_time_s(3.0, 4.0, np.inf) == 4.0


def test_two_empty_parts_take_no_time():
    assert overlap_time_s(0.0, 0.0, 2.5) == 0.0


def test_the_fixed_cost_comes_on_top_of_the_kernel():
    one = np.array([[1.0]])
    assert KernelTime(fixed_s=one, compute_s=one, memory_s=one, kernel_s=2 * one).time_s == 3.0


@given(first=seconds, second=seconds, sharpness=st.floats(1.0, 50.0))
def test_an_overlap_lies_between_the_longer_part_and_the_sum(first, second, sharpness):
    time = float(overlap_time_s(first, second, sharpness))
    assert max(first, second) * (1 - 1e-12) <= time <= (first + second) * (1 + 1e-12)
    assert time == float(overlap_time_s(second, first, sharpness))
