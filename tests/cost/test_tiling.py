from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost import tiling
from hwsim.cost.tiling import (
    SPLITS,
    TILES,
    GemmConstants,
    GemmProblem,
    SimtLimits,
    tile_residency,
    tile_traffic_bytes,
    tiled_gemm_time,
)

TOY = SimtLimits(sms=10.0, flop_per_s=10e12, bandwidth_bytes_per_s=np.inf, cache_bytes=0.0)
H100 = SimtLimits(
    sms=132.0, flop_per_s=989e12, bandwidth_bytes_per_s=3.35e12, cache_bytes=50 * 2.0**20, shared_bytes_per_sm=233472.0
)
FITTED = GemmConstants(
    launch_s=2.7e-6, compute=0.84, memory=0.85, starve=50.0, wave_s=1e-8, rounding=0.4, saturation=0.1,
    cache_speedup=1.4, resident_all=0.5, resident_none=1.4, overlap=4.0, k_step_s=1e-11, split_s=2.5e-6,
    store_exposed=0.6, gemv_s=2.7e-6, gemv_k_s=1e-10,
)  # fmt: skip


def gemm(m: object, n: object, k: object, batch: object = 1.0, width: float = 2.0) -> GemmProblem:
    m, n, k, batch = (np.atleast_2d(np.asarray(x, float)) for x in (m, n, k, batch))
    sizes = {"a_bytes": width * batch * m * k, "b_bytes": width * batch * k * n, "c_bytes": width * batch * m * n}
    return GemmProblem(m=m, n=n, k=k, batch=batch, **sizes)


def test_a_perfect_grid_runs_at_the_peak_rate():
    """Ten 256x128 tiles on ten multiprocessors, k = 1024: 2 x 2560 x 128 x 1024 FLOP at 10 TFLOP/s."""
    assert tiled_gemm_time(gemm(2560, 128, 1024), TOY, GemmConstants()).time_s == pytest.approx(
        2 * 2560 * 128 * 1024 / 1e13
    )


def test_a_partial_last_wave_costs_a_full_wave_when_every_tile_leaves_one():
    """Eleven 16x64 outputs are the finest grid; the eleventh needs a second turn on ten multiprocessors."""
    whole = tiled_gemm_time(gemm(16, 640, 32), TOY, GemmConstants()).time_s
    more = tiled_gemm_time(gemm(16, 704, 32), TOY, GemmConstants()).time_s
    assert more == pytest.approx(2 * whole)


def test_rows_are_padded_to_the_tile():
    """One row costs as much as the sixteen of the flattest tile."""
    one, sixteen = (tiled_gemm_time(gemm(m, 640, 32), TOY, GemmConstants()).time_s for m in (1, 16))
    assert one == sixteen


def test_the_last_slab_of_k_is_padded():
    """Of k = 33 there are two slabs of 32 elements, or five of 8: 64 against 40 elements of the same tiles."""
    wide = gemm(2560, 128, 33)
    times = [tiled_gemm_time(replace(wide, k_tile=k), TOY, GemmConstants()).time_s[0, 0] for k in (32.0, 8.0)]
    assert times[0] / times[1] == pytest.approx(64 / 40)


def test_split_k_puts_idle_multiprocessors_to_work():
    """One 16x64 tile with k = 8 x 32: eight blocks of one k-tile each."""
    found = tiled_gemm_time(gemm(16, 64, 256), TOY, GemmConstants())
    assert found.split == 8
    assert found.time_s == pytest.approx(2 * 16 * 64 * 32 / 1e12)


def test_split_k_is_avoided_when_its_second_kernel_costs_more_than_it_saves():
    found = tiled_gemm_time(gemm(16, 64, 256), TOY, GemmConstants(split_s=1.0))
    assert found.split == 1
    assert found.time_s == pytest.approx(2 * 16 * 64 * 256 / 1e12)


def test_a_thin_product_reads_its_weights_at_the_reachable_bandwidth():
    chip = replace(TOY, flop_per_s=np.inf, bandwidth_bytes_per_s=1e9)
    problem = gemm(1, 4096, 4096)
    moved = 2 * (4096 + 4096 * 4096 + 4096)
    assert tiled_gemm_time(problem, chip, GemmConstants(memory=0.5)).time_s == pytest.approx(moved / 0.5e9)


def test_a_small_tile_starves_the_matrix_units():
    """Two 32x32 tiles, the best fed that pad little, have intensity 32 x 32 / (32 + 32) = 16: half of c = 32."""
    fed, starved = (tiled_gemm_time(gemm(16, 64, 32), TOY, GemmConstants(starve=c)).time_s for c in (0.0, 32.0))
    assert starved == pytest.approx(2 * fed)


def test_cycled_weight_copies_leave_the_cache():
    chip = replace(TOY, flop_per_s=np.inf, bandwidth_bytes_per_s=1e9, cache_bytes=1e6)
    constants = GemmConstants(cache_speedup=10.0)
    warm = tiled_gemm_time(gemm(16, 256, 256), chip, constants).time_s
    cold = tiled_gemm_time(replace(gemm(16, 256, 256), b_copies=100.0), chip, constants).time_s
    assert cold == pytest.approx(10 * warm)


def test_a_matrix_vector_kernel_is_taken_where_it_is_faster():
    constants = GemmConstants(launch_s=3e-6, gemv_s=2e-6)
    found = tiled_gemm_time(gemm([1, 2], 512, 512), H100, constants)
    assert found.tile[0, 0] == -1
    assert found.tile[0, 1] >= 0
    assert found.fixed_s.tolist() == [[2e-6, 3e-6]]


def test_a_tile_too_large_for_the_shared_memory_is_not_used():
    small = replace(TOY, shared_bytes_per_sm=192.0 * 100)
    assert tile_residency(128, 128, small) == 0
    assert tile_residency(16, 64, small) == 1
    found = tiled_gemm_time(gemm(2560, 128, 1024), small, GemmConstants())
    tile_m, tile_n = TILES[int(found.tile[0, 0])]
    assert tile_m + tile_n <= 100


def test_a_library_without_small_tiles_pads_a_small_product_to_its_least():
    """64 x 64 as a tile of 128 x 128: four times the operations, on one multiprocessor at 1 TFLOP/s."""
    free, bound = (
        tiled_gemm_time(gemm(64, 64, 1024), TOY, GemmConstants(split_s=1.0, least_tile=least)) for least in (0.0, 128.0)
    )
    assert TILES[int(bound.tile[0, 0])] == (128, 128)
    assert bound.time_s[0, 0] == pytest.approx(2 * 128 * 128 * 1024 / 1e12)
    assert free.time_s[0, 0] < 0.5 * bound.time_s[0, 0]


def test_a_chip_on_which_no_tile_fits_takes_forever():
    assert np.isinf(tiled_gemm_time(gemm(64, 64, 64), replace(TOY, shared_bytes_per_sm=1.0), GemmConstants()).time_s)


def test_all_candidates_at_once_and_one_after_the_other_agree(monkeypatch):
    rng = np.random.default_rng(0)
    problem = gemm(*(rng.integers(1, 5000, (1, 40)) for _ in range(3)))
    together = tiled_gemm_time(problem, H100, FITTED)
    for threshold in ("AT_ONCE", "SMALL"):  # a tile at a time, then a candidate at a time
        monkeypatch.setattr(tiling, threshold, 0)
        in_turn = tiled_gemm_time(problem, H100, FITTED)
        for item in fields(together):
            np.testing.assert_array_equal(getattr(together, item.name), getattr(in_turn, item.name))


def test_a_thousand_chips_in_one_call_equal_a_thousand_calls():
    rng = np.random.default_rng(1)
    grow = 1.0 + rng.random((1000, 1))
    chips = replace(H100, sms=np.floor(132 * grow), flop_per_s=989e12 * grow, bandwidth_bytes_per_s=3e12 * grow)
    constants = replace(FITTED, compute=0.5 + 0.4 * rng.random((1000, 1)))
    problem = gemm([1, 17, 300, 4096], [64, 4096, 1000, 4096], [64, 11008, 777, 4096])
    table = tiled_gemm_time(problem, chips, constants).time_s
    assert table.shape == (1000, 4)
    for chip in range(0, 1000, 37):
        one = replace(
            H100, sms=float(chips.sms[chip, 0]), flop_per_s=float(chips.flop_per_s[chip, 0]),
            bandwidth_bytes_per_s=float(chips.bandwidth_bytes_per_s[chip, 0]),
        )  # fmt: skip
        alone = tiled_gemm_time(problem, one, replace(FITTED, compute=float(constants.compute[chip, 0]))).time_s
        np.testing.assert_allclose(alone[0], table[chip], rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(m=st.integers(1, 20000), n=st.integers(1, 20000), k=st.integers(1, 20000), batch=st.integers(1, 64))
def test_no_product_beats_the_roofline_of_the_ceilings(m, n, k, batch):
    problem = gemm(m, n, k, batch)
    time = tiled_gemm_time(problem, H100, FITTED).kernel_s[0, 0]
    assert time >= 2.0 * m * n * k * batch / (0.84 * 989e12) * (1 - 1e-9) or m == 1 or n == 1
    assert time >= (problem.a_bytes + problem.b_bytes + problem.c_bytes)[0, 0] / (1.4 * 0.85 * 3.35e12) * (1 - 1e-9)


@settings(max_examples=50, deadline=None)
@given(m=st.integers(1, 5000), n=st.integers(1, 5000), k=st.integers(1, 5000), factor=st.floats(1.0, 10.0))
def test_more_bandwidth_and_a_higher_rate_never_take_longer(m, n, k, factor):
    better = replace(H100, flop_per_s=989e12 * factor, bandwidth_bytes_per_s=3.35e12 * factor)
    constants = replace(FITTED, overlap=2.0)
    slow, fast = (tiled_gemm_time(gemm(m, n, k), chip, constants).time_s for chip in (H100, better))
    assert fast <= slow * (1 + 1e-9)


def test_every_candidate_is_a_tile_with_a_split():
    assert len(set(TILES)) == len(TILES)
    assert SPLITS[0] == 1


def test_split_k_writes_and_reads_partial_sums_in_fp32():
    chip = replace(TOY, bandwidth_bytes_per_s=1e12)
    found = tiled_gemm_time(gemm(16, 64, 256), chip, GemmConstants())
    split = int(found.split[0, 0])
    moved = 2 * (16 * 256 + 256 * 64 + 16 * 64) + 8 * (split - 1) * 16 * 64
    assert split > 1
    assert found.memory_s == pytest.approx(moved / 1e12)


def test_every_round_of_resident_blocks_pays_its_start():
    """Ten 256x128 tiles, one a multiprocessor: one round; eleven: two."""
    one = tiled_gemm_time(gemm(2560, 128, 32), TOY, GemmConstants(wave_s=1.0)).time_s
    assert one == pytest.approx(1.0, rel=1e-3)
    many = tiled_gemm_time(gemm(2560 * 100, 128, 32), TOY, GemmConstants(wave_s=1.0)).time_s
    assert many >= 25.0


def test_a_long_k_in_one_block_takes_its_steps_one_after_the_other():
    constants = GemmConstants(k_step_s=1e-3, split_s=100.0)
    assert tiled_gemm_time(gemm(16, 64, 1024), TOY, constants).time_s == pytest.approx(1.024)


def test_an_exposed_store_adds_the_time_of_writing_c():
    chip = replace(TOY, flop_per_s=np.inf, bandwidth_bytes_per_s=1e9)
    hidden, exposed = (
        tiled_gemm_time(gemm(1000, 1000, 32), chip, GemmConstants(overlap=1.0, store_exposed=share)).time_s
        for share in (0.0, 0.5)
    )
    assert exposed - hidden == pytest.approx(0.5 * 2e6 / 1e9)


def test_blocks_ask_the_cache_for_an_operand_once_for_each_row_or_column_of_tiles():
    problem = gemm(512, 256, 100)
    moved = tile_traffic_bytes(problem, np.array([[TILES.index((256, 128))]]))
    assert moved == 2 * (2 * 512 * 100 + 2 * 256 * 100 + 512 * 256)
    assert tile_traffic_bytes(problem, np.array([[-1]])) == 2 * (512 * 100 + 256 * 100 + 512 * 256)


def test_too_few_loads_under_way_bound_a_matrix_vector_product_whatever_the_bandwidth():
    """Two million bytes into ten multiprocessors, 1 ns a byte in each: 0.2 ms, with no end to the bandwidth."""
    constants = GemmConstants(gemv_s=0.0, gemv_byte_s=1e-9)
    problem = gemm(1, 1000, 1000)
    expected = float(np.squeeze(problem.a_bytes + problem.b_bytes + problem.c_bytes)) * 1e-9 / 10
    assert tiled_gemm_time(problem, TOY, constants).time_s == pytest.approx(expected)
