from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.occupancy import bandwidth_share, blocks_per_sm, wave_count

A100 = {"registers_per_sm": 65536, "shared_bytes_per_sm": 164 * 1024, "threads_per_sm": 2048, "max_blocks_per_sm": 32}


@pytest.mark.parametrize(
    ("registers", "shared", "threads", "blocks", "limit"),
    [
        (128 * 256, 1024, 256, 2, "registers"),
        (32 * 128, 80 * 1024, 128, 2, "shared memory"),
        (32 * 1024, 1024, 1024, 2, "threads"),
        (16 * 32, 0, 32, 32, "blocks"),
    ],
)
def test_the_tightest_of_four_limits_sets_residency(registers, shared, threads, blocks, limit):
    assert blocks_per_sm(registers, shared, threads, **A100) == blocks, limit


def test_a_block_larger_than_a_multiprocessor_does_not_fit():
    assert blocks_per_sm(65537, 0, 256, **A100) == 0


def test_a_partial_last_wave_costs_a_full_wave():
    assert wave_count(np.array([1, 108, 109, 216]), 108).tolist() == [1, 1, 2, 2]


def test_without_rounding_only_the_blocks_themselves_count_beyond_the_first_wave():
    assert wave_count(np.array([1, 108, 162]), 108, 0.0).tolist() == [1, 1, 1.5]


def test_half_rounding_pays_half_the_missing_part():
    """15 blocks on 10 slots: 1.5 waves, half a wave missing, half of that paid."""
    assert wave_count(15, 10, 0.5) == 1.75


def test_a_few_blocks_draw_their_part_of_the_bandwidth():
    assert bandwidth_share(np.array([1, 8, 32, 200]), 64, 0.25).tolist() == [0.0625, 0.5, 1.0, 1.0]


@given(blocks=st.integers(1, 10**7), slots=st.integers(1, 10**4), rounding=st.floats(0, 1))
def test_waves_lie_between_no_and_full_quantization(blocks, slots, rounding):
    waves = float(wave_count(blocks, slots, rounding))
    assert max(1.0, blocks / slots) - 1e-9 <= waves <= -(-blocks // slots) + 1e-9
