"""CPU arithmetic: peaks, fill, threads, caches."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import cpu


def test_two_512_bit_ports_do_64_single_precision_operations_a_clock() -> None:
    assert float(cpu.simd_flop_per_s(1, 1, 512, 32, 2)) == 64


def test_a_vector_half_full_wastes_half() -> None:
    assert float(cpu.vector_fill(8, 16)) == 0.5


def test_nine_pieces_on_eight_cores_take_two_rounds() -> None:
    assert float(cpu.parallel_share(9, 8)) == 9 / 16


def test_serial_work_gains_nothing_from_threads() -> None:
    assert float(cpu.thread_speedup(64, 1.0)) == 1.0


def test_amdahl_gives_ten_threads_with_a_tenth_serial_a_speedup_of_5_26() -> None:
    """1 / (0.1 + 0.9 / 10)."""
    assert float(cpu.thread_speedup(10, 0.1)) == 1 / 0.19


def test_a_working_set_runs_at_the_nearest_level_that_holds_it() -> None:
    sizes, rates = [10.0, 100.0, 1e9], [8.0, 4.0, 1.0]
    assert [float(cpu.level_bandwidth_bytes_per_s(s, sizes, rates)) for s in (10, 11, 101)] == [8.0, 4.0, 1.0]


def test_operands_within_the_cache_are_read_once() -> None:
    assert float(cpu.blocked_traffic_bytes(100, 100, 100, 5, 5, cache_bytes=1000)) == 300


def test_blocks_of_the_output_re_read_both_operands() -> None:
    """Cache of 1,200 bytes: side 10, so 20 x 20 outputs are 2 x 2 blocks and A and B are read twice."""
    assert float(cpu.blocked_traffic_bytes(1000, 1000, 0, 20, 20, cache_bytes=1200)) == 4000


@settings(max_examples=50, deadline=None)
@given(a=st.integers(1, 10**7), b=st.integers(1, 10**7), side=st.integers(1, 4000), cache=st.integers(100, 10**7))
def test_traffic_is_at_least_compulsory(a: int, b: int, side: int, cache: int) -> None:
    assert float(cpu.blocked_traffic_bytes(a, b, 3, side, side, cache)) >= a + b + 3


def test_only_buffers_above_32_mib_are_mapped_afresh() -> None:
    assert [float(cpu.fresh_pages(size)) for size in (2**25, 2**25 + 1)] == [0.0, 8193.0]


def test_a_window_of_one_place_is_in_channels_last_already() -> None:
    assert [float(cpu.layout_copies(places)) for places in (1, 2, 49)] == [1.0, 2.0, 2.0]
