from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.attention import (
    AttentionConstants,
    AttentionLimits,
    AttentionProblem,
    attention_bytes,
    attention_flop,
    attention_time,
    decode_time,
    prefill_time,
    tiled_flop,
)

CHIP = AttentionLimits(sms=10.0, flop_per_s=1e12, bandwidth_bytes_per_s=np.inf, cache_bytes=0.0)
DRAM = AttentionLimits(sms=10.0, flop_per_s=np.inf, bandwidth_bytes_per_s=1e9, cache_bytes=0.0)


def problem(**changes: Any) -> AttentionProblem:
    sizes = {"batch": 1.0, "heads": 10.0, "kv_heads": 10.0, "seq_q": 128.0, "seq_kv": 128.0, "head_dim": 128.0}
    return AttentionProblem(**{**sizes, "causal": 0.0, **changes})


def test_keys_and_values_are_read_once_for_all_heads_of_a_group():
    """Q and output 2 x 10 x 128 x 128 x 2 bytes; K and V 2 x 2 x 128 x 128 x 2."""
    assert attention_bytes(problem(kv_heads=2.0)) == 655360 + 131072


def test_a_causal_mask_halves_the_work_but_for_the_diagonal():
    full, masked = attention_flop(problem()), attention_flop(problem(causal=1.0))
    assert masked / full == (128 - 63.5) / 128


@given(st.sampled_from([1.0, 3.0, 40.0]), st.sampled_from([0.0, 1.0]), st.sampled_from([1.0, 5.0]), st.integers(0, 50))
def test_tiles_of_one_query_and_one_key_are_the_work_itself(queries, causal, kv_heads, more):
    sizes = problem(seq_q=queries, seq_kv=queries + more, kv_heads=kv_heads, causal=causal)
    assert tiled_flop(sizes, 1.0) == pytest.approx(float(attention_flop(sizes)))


def test_a_tile_is_computed_whole_however_few_queries_and_keys_are_in_it():
    """17 queries and keys take one tile of 128 x 128, as many as a causal mask leaves of it or more."""
    sizes = problem(seq_q=17.0, seq_kv=17.0, causal=1.0)
    assert tiled_flop(sizes, 128.0) == 4 * 10 * 128**3


def test_one_tile_a_multiprocessor_takes_its_products_over_the_rate():
    """Ten heads of one 128-query tile on ten multiprocessors: 4 x 10 x 128 x 128 x 128 FLOP at 1 TFLOP/s."""
    assert prefill_time(problem(), CHIP, AttentionConstants()).time_s == pytest.approx(4 * 10 * 128**3 / 1e12)


def test_a_tile_without_a_mask_shares_its_keys_among_idle_multiprocessors_where_the_stack_does():
    """One tile on ten multiprocessors: 1,280 keys in eight parts of 160, and the kernel that joins them."""
    alone = problem(heads=1.0, kv_heads=1.0, seq_kv=1280.0)
    whole, shared = (
        prefill_time(alone, CHIP, AttentionConstants(split_tiles=switch, split_s=1e-6, rounding=1.0))
        for switch in (0.0, 1.0)
    )
    assert shared.kernel_s == pytest.approx(whole.kernel_s / 8)
    assert shared.fixed_s == 1e-6
    masked = problem(heads=1.0, kv_heads=1.0, seq_kv=1280.0, causal=1.0)
    constants = AttentionConstants(split_tiles=1.0, rounding=1.0)
    assert prefill_time(masked, CHIP, constants).kernel_s > whole.kernel_s / 2


def test_a_partial_last_wave_of_query_tiles_costs_a_full_one():
    full = prefill_time(problem(), CHIP, AttentionConstants()).time_s
    assert prefill_time(problem(heads=11.0, kv_heads=11.0), CHIP, AttentionConstants()).time_s == pytest.approx(
        2 * full
    )


def test_a_causal_prefill_walks_over_half_the_keys_and_half_a_tile():
    """100 tiles of 128 queries in full waves: (12800 + 128) / 2 keys on average instead of 12800."""
    full, masked = (
        prefill_time(problem(seq_q=12800.0, seq_kv=12800.0, causal=causal), CHIP, AttentionConstants()).time_s
        for causal in (0.0, 1.0)
    )
    assert masked / full == pytest.approx((12800 + 128) / 2 / 12800)


def test_a_causal_prefill_writes_its_keys_into_the_cache():
    plain, written = (
        prefill_time(problem(causal=1.0), CHIP, AttentionConstants(key_write_s=t)).time_s for t in (0.0, 1e-6)
    )
    assert written - plain == pytest.approx(10 * 128 * 1e-6)
    apart = prefill_time(problem(), CHIP, AttentionConstants(key_write_s=1.0)).time_s
    assert apart == prefill_time(problem(), CHIP, AttentionConstants()).time_s, "nothing is cached without a mask"


def test_packing_a_group_of_heads_fills_the_tile_that_short_queries_leave_empty():
    """Ten query heads of 12 queries share one tile of 120 rows instead of filling ten tiles."""
    few = problem(seq_q=12.0, kv_heads=1.0, batch=10.0)
    apart = prefill_time(few, CHIP, AttentionConstants()).time_s
    packed = prefill_time(few, CHIP, AttentionConstants(packed=1.0)).time_s
    assert apart == pytest.approx(10 * packed)


def test_a_narrow_head_runs_at_its_share_of_the_rate():
    wide = prefill_time(problem(), CHIP, AttentionConstants(narrow=0.5)).time_s
    narrow = prefill_time(problem(head_dim=64.0), CHIP, AttentionConstants(narrow=0.5)).time_s
    assert narrow == pytest.approx(wide)


def test_a_head_between_two_widths_of_kernels_costs_what_the_wider_does():
    found = [prefill_time(problem(head_dim=dim), CHIP, AttentionConstants(narrow=0.5)).time_s for dim in (72.0, 128.0)]
    assert found[0] == found[1]


def test_decode_reads_keys_and_values_at_the_reachable_bandwidth():
    one = problem(seq_q=1.0, seq_kv=100000.0)
    time = decode_time(one, DRAM, AttentionConstants(memory=0.5)).time_s
    assert time == pytest.approx(float(attention_bytes(one)) / 0.5e9)


def test_a_lone_head_splits_its_keys_over_the_multiprocessors():
    lone = problem(seq_q=1.0, seq_kv=8192.0, heads=1.0, kv_heads=1.0)
    whole = decode_time(lone, CHIP, AttentionConstants(key_s=1e-6, split_single=0.0)).time_s
    split = decode_time(lone, CHIP, AttentionConstants(key_s=1e-6, split_single=1.0)).time_s
    assert whole == pytest.approx(8192e-6)
    assert split == pytest.approx(13 * 64e-6), "128 blocks of 64 keys take 13 turns on ten multiprocessors"


def test_a_split_is_not_taken_when_its_reduction_costs_more_than_it_saves():
    lone = problem(seq_q=1.0, seq_kv=8192.0, heads=1.0, kv_heads=1.0)
    assert decode_time(lone, CHIP, AttentionConstants(key_s=1e-6, split_s=1.0)).time_s == pytest.approx(8192e-6)


@given(seq=st.integers(1, 10**5), more=st.integers(0, 10**5), causal=st.sampled_from([0.0, 1.0]))
def test_a_longer_prefill_never_takes_less_time(seq, more, causal):
    constants = AttentionConstants(compute=0.6, memory=0.5, block_s=1e-6, rounding=1.0, overlap=1.5)
    chip = AttentionLimits(sms=np.array([[100.0]]), flop_per_s=1e15, bandwidth_bytes_per_s=2e12, cache_bytes=4e7)
    short, long = (
        prefill_time(problem(seq_q=float(s), seq_kv=float(s), causal=causal), chip, constants).time_s
        for s in (seq, seq + more)
    )
    assert np.all(long >= short * (1 - 1e-9))


def test_a_kernel_for_grouped_queries_may_start_later():
    one = {"seq_q": 1.0, "seq_kv": 64.0}
    plain, grouped = (
        decode_time(problem(**one, kv_heads=kv_heads), DRAM, AttentionConstants(group_s=1.0)).fixed_s
        for kv_heads in (10.0, 5.0)
    )
    assert (plain, grouped) == (0.0, 1.0)


def test_a_single_query_takes_the_decode_kernel_and_more_take_the_prefill_kernel():
    constants = AttentionConstants(block_s=1e-6, key_s=1e-9)
    both = problem(seq_q=np.array([[1.0, 128.0]]), seq_kv=4096.0)
    alone = [decode_time(problem(seq_q=1.0, seq_kv=4096.0), CHIP, constants).time_s]
    alone.append(prefill_time(problem(seq_kv=4096.0), CHIP, constants).time_s)
    assert attention_time(both, CHIP, constants).time_s[0].tolist() == alone
    assert attention_time(problem(seq_q=1.0, seq_kv=4096.0), CHIP, constants).time_s == alone[0]
    assert attention_time(problem(seq_kv=4096.0), CHIP, constants).time_s == alone[1]


def test_heads_beyond_the_limit_of_a_group_read_the_keys_themselves() -> None:
    """Four heads on one head of keys: shared, one block reads them; not shared, four blocks read them four times."""
    asked = problem(batch=1, heads=4, kv_heads=1, seq_q=1, seq_kv=1024, head_dim=64)
    limits = AttentionLimits(sms=4, flop_per_s=1e30, bandwidth_bytes_per_s=1.0, cache_bytes=0.0)
    keys = 2 * 1024 * 64 * 2.0
    queries = 2 * 4 * 64 * 2.0
    shared = decode_time(asked, limits, AttentionConstants(split_s=1e9))
    alone = decode_time(asked, limits, AttentionConstants(split_s=1e9, group_limit=2))
    assert (float(shared.kernel_s), float(alone.kernel_s)) == (queries + keys, queries + 4 * keys)


def test_a_block_pays_for_each_further_head_of_its_group() -> None:
    asked = problem(batch=1, heads=4, kv_heads=1, seq_q=1, seq_kv=64, head_dim=64)
    limits = AttentionLimits(sms=1, flop_per_s=1e30, bandwidth_bytes_per_s=1e30, cache_bytes=0.0)
    found = decode_time(asked, limits, AttentionConstants(block_s=2.0, head_s=0.5))
    assert float(found.kernel_s) == 3.5
