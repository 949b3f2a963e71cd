from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.cost.norm import RowConstants, RowProblem, again_bytes, extra_pass_bytes, narrowing_time, row_time
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


FLIGHT = RowConstants(
    knee=1024.0, extra_pass=2.0, threads=512.0, near_all=0.5, near_none=1.0, flight_all=0.5, flight_none=1.0
)
LONG = RowProblem(rows=100.0, cols=2000.0, read_bytes=8e5, moved_bytes=1.6e6)


def chip(*, cache_bytes: float = 0.0, near_bytes: float = 0.0) -> StreamLimits:
    """Ten multiprocessors of 1,024 threads: two blocks of 512 each, so 20 rows of 8,000 bytes in flight."""
    return StreamLimits(
        sms=10.0, bandwidth_bytes_per_s=1e9, cache_bytes=cache_bytes, threads_per_sm=1024.0, near_bytes=near_bytes
    )


def test_rows_in_flight_that_fit_the_cache_are_read_again_from_it():
    """20 rows, read and written, are 320,000 bytes: all of a cache's half, three quarters of one, or all of it."""
    sizes = (640e3, 320e3 / 0.75, 320e3)
    found = [float(again_bytes(LONG, chip(cache_bytes=size), FLIGHT)) for size in sizes]
    assert found == pytest.approx([0.0, 8e5, 1.6e6])


def test_two_rows_that_fit_a_multiprocessors_own_cache_are_read_again_from_there():
    """Two rows of 8,000 bytes: all of 32,000 bytes' half, all of 16,000."""
    assert [float(again_bytes(LONG, chip(near_bytes=size), FLIGHT)) for size in (32e3, 16e3)] == [0.0, 1.6e6]


def test_a_row_that_waits_in_shared_memory_is_read_once():
    staged = replace(FLIGHT, staged=4.0)
    found = [float(again_bytes(replace(LONG, cols=cols), chip(), staged)) for cols in (2000.0, 2001.0)]
    assert found == [0.0, 1.6e6]


def test_a_short_row_or_one_that_takes_a_single_pass_is_not_read_again():
    short, single = replace(LONG, cols=1024.0), replace(LONG, rereads=0.0)
    assert [float(again_bytes(problem, chip(), FLIGHT)) for problem in (short, single)] == [0.0, 0.0]


def test_rows_take_turns_of_as_many_as_are_in_flight():
    """100 rows in five turns of 20; 4,096 columns are two loads for each of 512 threads, read three times."""
    problem = RowProblem(rows=100.0, cols=4096.0, read_bytes=1.0, moved_bytes=2.0)
    kernel = replace(FLIGHT, step_s=1.0, lead=4.0, tail=0.5)
    assert row_time(problem, 0.0, chip(), kernel).time_s == pytest.approx(5 * (4 + 2 * 3))
    longer = replace(problem, cols=4100.0)
    assert row_time(longer, 0.0, chip(), kernel).time_s == pytest.approx(5 * (4 + 3 * (4100 / 2048 + 0.5)))
    more = replace(problem, rows=101.0)
    assert row_time(more, 0.0, chip(), kernel).time_s == pytest.approx(6 * (4 + 2 * 3))


@pytest.mark.parametrize(("threads_per_sm", "turns"), [(256.0, 10), (1280.0, 5), (1536.0, 4)])
def test_a_multiprocessor_has_whole_rows_in_flight_and_at_least_one(threads_per_sm, turns):
    """100 rows of 512 threads on ten multiprocessors: one row, two or three of them at a time on each."""
    problem = RowProblem(rows=100.0, cols=2048.0, read_bytes=1.0, moved_bytes=2.0, rereads=0.0)
    limits = replace(chip(), threads_per_sm=threads_per_sm)
    assert row_time(problem, 0.0, limits, replace(FLIGHT, step_s=1.0)).time_s == pytest.approx(turns)


def test_a_step_from_the_own_cache_is_shorter():
    """One load of each thread, then two passes more at a quarter of the time."""
    problem = RowProblem(rows=20.0, cols=2048.0, read_bytes=1.0, moved_bytes=2.0)
    kernel = replace(FLIGHT, step_s=1.0, near=0.25)
    found = [row_time(problem, 0.0, chip(near_bytes=size), kernel).time_s for size in (40e3, 0.0)]
    assert found == pytest.approx([1.5, 3.0])


def test_a_warp_that_has_a_short_row_takes_no_steps():
    problem = RowProblem(rows=100.0, cols=1024.0, read_bytes=1.0, moved_bytes=2.0)
    assert row_time(problem, 0.0, chip(), replace(FLIGHT, step_s=1.0)).time_s < 1e-6


def test_what_all_rows_need_is_not_in_flight():
    """A scale of a gigabyte beside the rows: theirs still fit the cache's half."""
    scaled = replace(LONG, moved_bytes=LONG.moved_bytes + 1e9, shared_bytes=1e9)
    assert float(again_bytes(scaled, chip(cache_bytes=640e3), FLIGHT)) == 0.0


def test_chips_of_unknown_blocks_stand_beside_others():
    both = replace(FLIGHT, threads=np.array([[0.0], [512.0]]))
    limits = chip(cache_bytes=640e3)
    alone = [float(again_bytes(LONG, limits, replace(FLIGHT, threads=threads))) for threads in (0.0, 512.0)]
    assert again_bytes(LONG, limits, both)[:, 0].tolist() == alone
    assert alone[0] > alone[1]
