from __future__ import annotations

import numpy as np
import pytest

from hwsim.cost.norm import RowConstants, RowProblem, extra_pass_bytes, narrowing_time, row_time
from hwsim.cost.streaming import StreamLimits, rows_in_turn_s

CHIP = StreamLimits(sms=10.0, bandwidth_bytes_per_s=1e9, cache_bytes=0.0)


def test_a_row_longer_than_the_knee_is_read_again():
    assert extra_pass_bytes(np.array([1024.0, 1025.0]), 100.0, 1024.0, 0.7).tolist() == [0.0, 70.0]


def test_a_kernel_that_needs_one_pass_reads_nothing_again():
    assert extra_pass_bytes(4096.0, 100.0, 1024.0, 0.7, rereads=0.0) == 0.0


def test_an_eleventh_row_on_ten_multiprocessors_costs_a_second_turn():
    assert rows_in_turn_s(np.array([1.0, 10.0, 11.0]), 100.0, 10.0, 1.0, 0.01).tolist() == [2.0, 2.0, 4.0]


def test_a_long_row_reads_a_third_more_bytes_when_two_thirds_are_compulsory():
    """1,000 rows of 2,048 columns, 4 bytes in and 4 out, and 4 once more: 12 bytes where 8 are compulsory."""
    problem = RowProblem(rows=1000.0, cols=2048.0, read_bytes=8.192e6, moved_bytes=16.384e6)
    assert row_time(problem, 0.0, CHIP, RowConstants(extra_pass=1.0)).time_s == pytest.approx(24.576e-3)


def test_what_all_rows_need_arrives_at_the_full_bandwidth_however_few_they_are():
    """A lone row keeps one of ten multiprocessors busy: its 2 MB take a tenth of 1 GB/s, 1 MB of scales all of it."""
    problem = RowProblem(rows=1.0, cols=1.0, read_bytes=1e6, moved_bytes=3e6, shared_bytes=1e6)
    assert row_time(problem, 0.0, CHIP, RowConstants(saturation=1.0)).time_s == pytest.approx(21e-3)


def test_few_long_rows_are_bound_by_the_walk_along_a_row():
    problem = RowProblem(rows=1.0, cols=10000.0, read_bytes=4e4, moved_bytes=8e4)
    assert row_time(problem, 0.0, CHIP, RowConstants(col_s=1e-6)).time_s == pytest.approx(1e-2)


def test_arithmetic_sets_the_time_when_it_is_slowest():
    problem = RowProblem(rows=10.0, cols=10.0, read_bytes=1.0, moved_bytes=1.0)
    assert row_time(problem, 3.0, CHIP, RowConstants()).time_s == 3.0


def test_narrowing_reads_the_wide_matrix_and_writes_the_narrow_one():
    time = narrowing_time(1000.0, 4096.0, 2e6, 1e6, CHIP, RowConstants(extra_pass=1.0)).time_s
    assert time == pytest.approx(3e6 / 1e9)
