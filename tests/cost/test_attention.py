from __future__ import annotations

from dataclasses import replace
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
    walked_time,
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


WALK = AttentionConstants(key_tile=128.0, query_tile=64.0, rounding=1.0)
ROOMY, NARROW = (
    AttentionLimits(
        sms=10.0, flop_per_s=1e13, bandwidth_bytes_per_s=np.inf, cache_bytes=0.0, shared_bytes_per_sm=kib * 1024.0
    )
    for kib in (164, 100)
)
PRODUCTS = 4 * 64 * 128 * 128 / 1e12  # of a tile of keys at a multiprocessor's peak, in seconds


def test_a_block_alone_waits_for_each_tile_of_keys_beside_its_products():
    """1,000 keys are eight tiles of 128; ten blocks, one a multiprocessor."""
    one = problem(seq_q=64.0, seq_kv=1000.0)
    time = walked_time(one, NARROW, replace(WALK, block_s=1e-6, step_s=2e-6)).time_s
    assert time == pytest.approx(1e-6 + 8 * (PRODUCTS + 2e-6))


def test_a_multiprocessor_holds_as_many_blocks_as_its_shared_memory():
    """64 queries and 2 x 128 keys of 256 bytes, 81 KiB with what is reserved: two in 164 KiB, one in 100."""
    waiting = replace(WALK, step_s=1.0)
    few, many = problem(seq_q=64.0), problem(heads=20.0, kv_heads=20.0, seq_q=64.0)
    assert walked_time(many, ROOMY, waiting).time_s == walked_time(few, ROOMY, waiting).time_s
    assert walked_time(many, NARROW, waiting).time_s == 2 * walked_time(few, NARROW, waiting).time_s


def test_blocks_of_one_multiprocessor_take_turns_at_the_ceiling():
    """Twenty blocks, two a multiprocessor: twice the products at half the peak."""
    many = problem(heads=20.0, kv_heads=20.0, seq_q=64.0)
    assert walked_time(many, ROOMY, replace(WALK, compute=0.5)).time_s == pytest.approx(4 * PRODUCTS)


def test_a_tile_holds_twice_as_many_keys_of_half_the_width():
    time = walked_time(problem(seq_q=64.0, seq_kv=512.0, head_dim=64.0), NARROW, replace(WALK, step_s=1.0)).time_s
    assert time == pytest.approx(2.0, rel=1e-5)


def test_a_causal_walk_is_as_long_as_the_mean_of_its_first_and_last():
    """Sixteen tiles of queries over one to eight tiles of keys, ten heads on ten multiprocessors: 16 x 4.5 steps."""
    long = problem(seq_q=1024.0, seq_kv=1024.0, causal=1.0)
    assert walked_time(long, NARROW, replace(WALK, step_s=1.0)).time_s == pytest.approx(16 * 4.5, rel=1e-5)


def test_one_query_walks_with_its_group_and_splits_its_keys_where_heads_share_them():
    """Eight tiles in eight blocks of one step each; a head of its own walks alone."""
    constants = replace(WALK, step_s=1.0, split_s=0.5, group_s=0.25, split_single=0.0)
    shared, alone = (
        decode_time(problem(heads=heads, kv_heads=1.0, seq_q=1.0, seq_kv=1024.0), NARROW, constants).time_s
        for heads in (4.0, 1.0)
    )
    assert shared == pytest.approx(0.25 + 0.5 + 1.0, rel=1e-5)
    assert alone == pytest.approx(8.0, rel=1e-5)


def test_chips_whose_kernels_are_known_by_tiles_stand_beside_others():
    both = replace(WALK, key_tile=np.array([[0.0], [128.0]]), step_s=1e-6, block_s=1e-6)
    for kernel, decode in ((prefill_time, False), (decode_time, True)):
        asked = problem(seq_q=1.0 if decode else 64.0, seq_kv=512.0)
        plain = kernel(asked, NARROW, replace(both, key_tile=0.0)).time_s
        walked = walked_time(asked, NARROW, replace(both, key_tile=128.0), decode=decode).time_s
        assert kernel(asked, NARROW, both).time_s[:, 0].tolist() == [plain, walked]


def test_what_the_cache_holds_is_read_from_it():
    """5,242,880 bytes of queries, keys, values and results at 1 GB/s, or at four times that."""
    held = replace(DRAM, cache_bytes=1e9)
    asked = problem(seq_q=512.0, seq_kv=512.0)
    constants = replace(WALK, cache_speedup=4.0)
    slow, fast = (walked_time(asked, limits, constants).time_s for limits in (DRAM, held))
    assert (slow, fast) == (pytest.approx(5242880e-9), pytest.approx(5242880e-9 / 4))


def test_a_block_takes_its_own_queries_and_what_is_reserved_of_shared_memory():
    """Two blocks of 81 KiB: 16 of queries, 64 of keys and values, 1 reserved."""
    waiting, many = replace(WALK, step_s=1.0), problem(heads=20.0, kv_heads=20.0, seq_q=64.0)
    for kib, turns in ((161, 2), (162, 1)):
        found = walked_time(many, replace(ROOMY, shared_bytes_per_sm=kib * 1024.0), waiting).time_s
        assert found == pytest.approx(turns, rel=1e-4)


@pytest.mark.parametrize(("heads", "tiles"), [(15.0, 3.0), (40.0, 8.0)])
def test_turns_are_the_mean_of_what_multiprocessors_have_at_most_what_they_hold(heads, tiles):
    """Fifteen blocks are one and a half each at half the peak; forty are two waves of two each."""
    asked = problem(heads=heads, kv_heads=heads, seq_q=64.0)
    assert walked_time(asked, ROOMY, replace(WALK, compute=0.5)).time_s == pytest.approx(tiles * PRODUCTS)


def test_a_wave_is_as_long_as_its_longest_walk():
    """Sixteen tiles of queries on as many multiprocessors: the last walks over eight tiles of keys."""
    asked = problem(heads=1.0, kv_heads=1.0, seq_q=1024.0, seq_kv=1024.0, causal=1.0)
    assert walked_time(asked, replace(NARROW, sms=16.0), replace(WALK, step_s=1.0)).time_s == pytest.approx(8, rel=1e-4)


def test_every_wave_starts_its_blocks():
    many = problem(heads=20.0, kv_heads=20.0, seq_q=64.0)
    assert walked_time(many, NARROW, replace(WALK, block_s=1.0)).time_s == pytest.approx(2.0, rel=1e-4)


def test_a_causal_walk_writes_the_keys_of_every_head():
    """512 keys of ten heads, a second each; decode writes none."""
    writing, asked = replace(WALK, key_write_s=1.0), problem(seq_q=64.0, seq_kv=512.0, causal=1.0)
    found = [float(walked_time(asked, NARROW, writing, decode=decode).time_s) for decode in (False, True)]
    assert found == pytest.approx([5120.0, 0.0], abs=1e-3)


def test_narrow_heads_reach_less_of_the_ceiling_and_odd_widths_cost_the_next():
    """256 keys of 64 features are one tile, at half the peak; 160 of 96 are two, as of 128."""
    narrow = problem(seq_q=64.0, seq_kv=256.0, head_dim=64.0)
    assert walked_time(narrow, NARROW, replace(WALK, narrow=0.5)).time_s == pytest.approx(2 * PRODUCTS)
    odd = problem(seq_q=64.0, seq_kv=160.0, head_dim=96.0)
    assert walked_time(odd, NARROW, WALK).time_s == pytest.approx(2 * PRODUCTS)


def test_a_walk_splits_its_keys_where_the_stack_does():
    """Eight steps in eight blocks: of a prompt without a mask, of a lone head's decode, each only if the stack says."""
    sizes = {"heads": 1.0, "kv_heads": 1.0, "seq_kv": 1024.0}
    plain = replace(WALK, step_s=1.0, split_s=0.5, split_single=0.0)
    for asked, decode, split in (
        (problem(seq_q=64.0, **sizes), False, {"split_tiles": 1.0}),
        (problem(seq_q=1.0, **sizes), True, {"split_single": 1.0}),
    ):
        found = [float(walked_time(asked, NARROW, replace(plain, **s), decode=decode).time_s) for s in ({}, split)]
        assert found == pytest.approx([8.0, 1.5], rel=1e-4)
    masked = problem(seq_q=64.0, causal=1.0, **sizes)
    assert walked_time(masked, NARROW, replace(plain, split_tiles=1.0)).time_s == pytest.approx(8.0, rel=1e-4)


def test_a_split_walk_moves_its_partial_results():
    """Results of four heads in fp32, written by eight blocks and read again: 32 KiB beside 526,336 bytes."""
    asked = problem(heads=4.0, kv_heads=1.0, seq_q=1.0, seq_kv=1024.0)
    slow = replace(NARROW, bandwidth_bytes_per_s=1e6)
    found = walked_time(asked, slow, replace(WALK, step_s=1.0, overlap=1.0, memory=0.5), decode=True).time_s
    assert found == pytest.approx(1.0 + 2 * (526336 + 32768) / 1e6, rel=1e-4)


def test_queries_of_a_group_share_a_block_where_they_are_packed():
    """Four heads of 16 queries on one head of keys: one block or, on a single multiprocessor, four in turn."""
    asked, lone = problem(heads=4.0, kv_heads=1.0, seq_q=16.0), replace(NARROW, sms=1.0)
    found = [float(walked_time(asked, lone, replace(WALK, step_s=1.0, packed=p)).time_s) for p in (1.0, 0.0)]
    assert found == pytest.approx([1.0, 4.0], rel=1e-3)
