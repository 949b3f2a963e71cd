"""Traffic and time through a scratchpad, worked by hand and as properties."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import scratchpad

seconds = st.lists(st.integers(1, 100), min_size=1, max_size=8)


def test_a_tile_may_fill_half_a_double_buffered_scratchpad() -> None:
    """Three 8x8 tiles of one byte are 192 bytes: they fit 384 double buffered, 383 do not do."""
    fits = [bool(scratchpad.tile_fits(8, 8, 8, 1, 1, 1, capacity)) for capacity in (384, 383)]
    assert fits == [True, False]


def test_a_single_buffer_takes_the_whole_scratchpad() -> None:
    assert bool(scratchpad.tile_fits(8, 8, 8, 1, 1, 1, 192, double_buffered=False))


def test_operands_that_fit_are_read_once() -> None:
    assert float(scratchpad.gemm_traffic_bytes(100, 300, 50, 10, 30, usable=300)) == 450


def test_neither_operand_fitting_costs_re_reads() -> None:
    """A and B of 1,000 bytes, room for 500: one of them is read twice."""
    assert float(scratchpad.gemm_traffic_bytes(1000, 1000, 0, 1000, 1000, usable=500)) == 3000


def test_an_output_block_stays_when_k_is_long() -> None:
    """A 16x16 output held in 1,024 bytes: each operand of a very long product is read once."""
    assert float(scratchpad.gemm_traffic_bytes(1e6, 1e6, 0, 16, 16, usable=1024)) == 2e6


def test_without_blocks_of_the_output_one_operand_is_read_again() -> None:
    """A and B of 1,000 bytes, 100 of room: ten chunks of one, the other past each; or 5 x 5 blocks, each read twice."""
    assert float(scratchpad.gemm_traffic_bytes(1000, 1000, 0, 10, 10, usable=100)) == 4000
    assert float(scratchpad.gemm_traffic_bytes(1000, 1000, 0, 10, 10, usable=100, blocked=0)) == 11000


def test_tpu_v1_holds_4096_rows_of_sums() -> None:
    assert [float(scratchpad.accumulator_chunks(rows, 256, 4 * 2**20)) for rows in (4096, 4097)] == [1.0, 2.0]


def test_a_spill_is_a_write_plus_a_read() -> None:
    """64 x 64 sums of 4 bytes, three folds along k, nothing held: 2 * 2 * 16,384 bytes."""
    assert float(scratchpad.spill_bytes(64, 64, 3, 0, 4096)) == 2 * 2 * 64 * 64 * 4


def test_nothing_spills_while_the_block_fits() -> None:
    assert float(scratchpad.spill_bytes(64, 64, 3, 4096 * 4, 4096)) == 0


def test_first_load_and_last_store_are_exposed() -> None:
    """Load 3, then steps max(5, 3), max(5, 2), then store 2: 3 + 5 + 5 + 2."""
    assert scratchpad.double_buffered_time_s([5, 5], [3, 3], [2, 2]) == 15


def test_one_port_makes_loads_and_stores_take_turns() -> None:
    """Middle step of three: load 3 and store 2 share the port, 5 > compute 1."""
    shared = scratchpad.double_buffered_time_s([1, 1, 1], [3, 3, 3], [2, 2, 2])
    private = scratchpad.double_buffered_time_s([1, 1, 1], [3, 3, 3], [2, 2, 2], shared_port=False)
    assert (shared, private) == (3 + 3 + 5 + 2 + 2, 3 + 3 + 3 + 2 + 2)


def test_one_tile_overlaps_nothing() -> None:
    total, fill = scratchpad.overlapped_time_s(5.0, 3.0, 2.0, 1.0)
    assert (float(total), float(fill)) == (10.0, 3.0)


def test_an_overlap_of_one_adds_both_streams() -> None:
    total, _ = scratchpad.overlapped_time_s(6.0, 4.0, 2.0, 1e12, overlap=1.0)
    assert np.isclose(total, 12.0)


@settings(max_examples=60, deadline=None)
@given(compute=st.integers(1, 50), load=st.integers(1, 50), store=st.integers(0, 50), tiles=st.integers(1, 12))
def test_the_closed_form_is_within_one_tile_of_the_sum(compute: int, load: int, store: int, tiles: int) -> None:
    exact = scratchpad.double_buffered_time_s([compute] * tiles, [load] * tiles, [store] * tiles)
    closed, _ = scratchpad.overlapped_time_s(compute * tiles, load * tiles, store * tiles, tiles)
    assert exact - (compute + load + store) - 1e-9 <= float(closed) <= exact + 1e-9


@settings(max_examples=60, deadline=None)
@given(compute=seconds, load=st.integers(1, 50), store=st.integers(0, 50))
def test_overlap_never_beats_the_slowest_stream(compute: list[int], load: int, store: int) -> None:
    tiles = len(compute)
    total = scratchpad.double_buffered_time_s(compute, [load] * tiles, [store] * tiles)
    assert max(sum(compute), tiles * (load + store)) <= total <= sum(compute) + tiles * (load + store)


@settings(max_examples=60, deadline=None)
@given(
    a=st.integers(1, 10**6),
    b=st.integers(1, 10**6),
    m=st.integers(1, 2000),
    n=st.integers(1, 2000),
    room=st.integers(1, 10**6),
)
def test_a_larger_scratchpad_never_moves_more(a: int, b: int, m: int, n: int, room: int) -> None:
    small, large = (float(scratchpad.gemm_traffic_bytes(a, b, 7, m, n, usable)) for usable in (room, 2 * room))
    assert a + b + 7 <= large <= small


def test_a_core_rereads_an_operand_for_each_block_of_the_other_side() -> None:
    """40 columns in blocks of 16 are three, 16 rows one: A three times, B once."""
    assert float(scratchpad.feed_bytes(10, 100, 16, 40, 16)) == 130
