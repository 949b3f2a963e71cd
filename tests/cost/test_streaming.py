from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.streaming import StreamConstants, StreamLimits, stream_time

CHIP = StreamLimits(sms=10.0, bandwidth_bytes_per_s=1e9, cache_bytes=0.0)


def test_a_large_kernel_takes_its_bytes_over_the_reachable_bandwidth():
    """1 MB at half of 1 GB/s is 2 ms."""
    assert stream_time(1e6, 1e5, 0.0, CHIP, StreamConstants(memory=0.5)).time_s == pytest.approx(2e-3)


def test_the_launch_comes_on_top_and_the_floor_hides_under_a_long_kernel():
    constants = StreamConstants(launch_s=1e-3, floor_s=1e-3)
    assert stream_time(1e7, 1e6, 0.0, CHIP, constants).time_s == pytest.approx(11e-3)
    assert stream_time(0.0, 1.0, 0.0, CHIP, constants).time_s == pytest.approx(2e-3)


def test_arithmetic_sets_the_time_of_a_kernel_with_few_bytes():
    assert stream_time(1.0, 1.0, 4.0, CHIP, StreamConstants(compute=0.5)).kernel_s == 8.0


def test_a_working_set_in_the_cache_moves_at_its_speed():
    chip = StreamLimits(sms=10.0, bandwidth_bytes_per_s=1e9, cache_bytes=1e8)
    constants = StreamConstants(cache_speedup=4.0)
    assert stream_time(1e6, 1e5, 0.0, chip, constants).time_s == pytest.approx(0.25e-3)


def test_two_blocks_on_ten_multiprocessors_draw_a_fifth_of_the_bandwidth():
    assert stream_time(1e6, 2048, 0.0, CHIP, StreamConstants(saturation=1.0)).time_s == pytest.approx(5e-3)


@given(size=st.floats(1, 1e12), factor=st.floats(1, 100))
def test_more_bytes_never_take_less_time(size, factor):
    chip = StreamLimits(sms=np.array([[10.0], [100.0]]), bandwidth_bytes_per_s=1e12, cache_bytes=5e7)
    constants = StreamConstants(floor_s=1e-6, overlap=2.0, cache_speedup=3.0, resident_all=0.3, resident_none=1.2)
    small = stream_time(np.array([[size]]), 1e6, 0.0, chip, constants).time_s
    large = stream_time(np.array([[size * factor]]), 1e6, 0.0, chip, constants).time_s
    assert np.all(large >= small * (1 - 1e-12))


def test_a_few_long_rows_are_worked_through_in_turn():
    """Twelve rows of 1,000 columns at 1 ms a column on ten multiprocessors: two turns of a second each."""
    chip = StreamLimits(sms=10, bandwidth_bytes_per_s=1e30, cache_bytes=0)
    by_row = StreamConstants(col_s=1e-3)
    assert float(stream_time(1.0, 12_000.0, 0.0, chip, by_row, 1000.0).time_s) == 2.0
    assert float(stream_time(1.0, 12_000.0, 0.0, chip, by_row).time_s) < 1e-6


def test_a_multiprocessor_of_2048_threads_works_on_two_rows_at_once():
    """Twelve rows of a second each: ten multiprocessors of two blocks take one turn, those of one block two."""
    by_row = StreamConstants(row_s=1.0)
    turns = []
    for threads in (1024.0, 2048.0):
        chip = StreamLimits(sms=10, bandwidth_bytes_per_s=1e30, cache_bytes=0, threads_per_sm=threads)
        turns.append(float(stream_time(1.0, 12_000.0, 0.0, chip, by_row, 1000.0).time_s))
    assert turns == [2.0, 1.0]
