"""Fused attention on a SIMT chip: prefill (many queries) and decode (few queries, keys split over blocks).

Sources: T. Dao, "FlashAttention-2", 2023, section 3 (a block owns a tile of queries and walks over the keys; the
score matrix never leaves the chip); "Flash-Decoding", 2023 (decode splits the keys over blocks and adds a
reduction); J. Ainslie et al., "GQA", 2023 (query heads of a group share keys and values). The constants' ranges
were found on measured kernels of four GPUs (``benchmarks/fit_gpu.py``). Where a stack says how many keys a block takes
at a time, prefill and decode are one kernel that walks over tiles of them (:func:`walked_time`).
Columns broadcast: (1, rows) and (chips, 1) give (chips, rows).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.cache import mean_s_per_byte, resident_share
from hwsim.cost.occupancy import bandwidth_share, wave_count
from hwsim.cost.roofline import KernelTime, overlap_time_s

__all__ = [
    "SPLITS",
    "AttentionConstants",
    "AttentionLimits",
    "AttentionProblem",
    "attention_bytes",
    "attention_flop",
    "attention_time",
    "decode_time",
    "picked",
    "prefill_time",
    "tiled_flop",
    "walked_time",
]

Floats = NDArray[np.float64]
Number = float | Floats

SPLITS: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
KEY_TILE = 64  # keys a block of a decode kernel takes at a time
FULL_WIDTH = 128  # head dimension at which prefill kernels reach their ceiling
WIDTH_STEP = 64  # other head dimensions cost what the next multiple does: padded, or tiles of half the width
RESERVED = 1024.0  # bytes of shared memory a block: CUDA C++ Programming Guide, compute capabilities 8.0 and later


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionProblem:
    """Columns of attention: sizes, ``causal`` as 0 or 1, bytes an element of Q, of K and V, and of the output.

    ``bias_bytes`` are those of a bias on the scores.
    """

    batch: Number
    heads: Number
    kv_heads: Number
    seq_q: Number
    seq_kv: Number
    head_dim: Number
    causal: Number
    q_width: Number = 2.0
    kv_width: Number = 2.0
    out_width: Number = 2.0
    bias_bytes: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLimits:
    """What the chip can do, each a number or (chips, 1)."""

    sms: Number
    flop_per_s: Number
    bandwidth_bytes_per_s: Number
    cache_bytes: Number
    shared_bytes_per_sm: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionConstants:
    """How a stack's attention kernels drive the chip, each a number or (chips, 1).

    ``compute``, ``memory``: ceilings, at most 1. ``narrow``: share of ``compute`` left at a head dimension of 64.
    ``block_s``: a block's fixed time; ``key_s``: a decode block's time a key (of head dimension 128).
    ``query_tile``: queries of a prefill block; ``packed``: 1 where the queries of a group of heads share a block.
    ``key_write_s``: a causal prefill's time to write one key and value of one head into a paged cache.
    ``group_s``: what a decode kernel for grouped queries takes to start beyond the launch of the plain one;
    ``head_s``: a decode block's time for each query head that shares its keys; ``group_limit``: the most that can,
    in larger groups every head reads the keys itself.
    ``key_tile``: keys of head dimension 128 that a block takes at a time, more of narrower heads; 0 where nothing is
    known of the kernels but their speed. ``step_s``: what a tile of keys takes a block beside its products.
    ``split_s``: the reduction after a split; ``split_single``: 0 where the stack does not split keys unless
    several query heads share them. ``split_tiles``: 1 where tiles of queries without a mask split their keys, too, as
    kernels for latent attention do. ``rounding``, ``saturation``, ``cache_speedup``, ``resident_all``,
    ``resident_none``, ``overlap``: as in :mod:`hwsim.cost.tiling`.
    """

    launch_s: Number = 0.0
    compute: Number = 1.0
    memory: Number = 1.0
    narrow: Number = 1.0
    block_s: Number = 0.0
    key_s: Number = 0.0
    key_write_s: Number = 0.0
    group_s: Number = 0.0
    head_s: Number = 0.0
    group_limit: Number = np.inf
    key_tile: Number = 0.0
    step_s: Number = 0.0
    query_tile: Number = 128.0
    packed: Number = 0.0
    rounding: Number = 1.0
    saturation: Number = 1e-9
    split_s: Number = 0.0
    split_single: Number = 1.0
    split_tiles: Number = 0.0
    cache_speedup: Number = 1.0
    resident_all: Number = 0.8
    resident_none: Number = 1.0
    overlap: Number = np.inf


def attention_bytes(problem: AttentionProblem) -> Floats:
    """Compulsory traffic: Q and the output of every head, K and V of every head of keys, the bias."""
    queries = problem.batch * problem.heads * problem.seq_q * problem.head_dim
    widths = problem.q_width + problem.out_width
    return np.asarray(queries * widths + _kv_bytes(problem) + problem.bias_bytes, dtype=np.float64)


def _kv_bytes(problem: AttentionProblem) -> Number:
    return 2.0 * problem.batch * problem.kv_heads * problem.seq_kv * problem.head_dim * problem.kv_width


def attention_flop(problem: AttentionProblem) -> Floats:
    """Multiply-adds of both products that are needed; a causal mask leaves (seq_kv - (seq_q - 1) / 2) keys a query.

    >>> sizes = dict(batch=1, heads=1, kv_heads=1, seq_q=3, seq_kv=3, head_dim=1)
    >>> [float(attention_flop(AttentionProblem(**sizes, causal=causal))) for causal in (0, 1)]
    [36.0, 24.0]
    """
    keys = problem.seq_kv - problem.causal * (problem.seq_q - 1.0) / 2.0
    return np.asarray(4.0 * problem.batch * problem.heads * problem.seq_q * keys * problem.head_dim, dtype=np.float64)


def tiled_flop(problem: AttentionProblem, tile: Number) -> Floats:
    """Multiply-adds of whole tiles of queries and keys: padding and what a mask hides inside a tile are computed too.

    A single query takes a tile with the others of its group of heads (Ainslie et al., "GQA", 2023).

    >>> sizes = dict(batch=1, heads=4, kv_heads=2, seq_kv=3, head_dim=1, causal=0)
    >>> [float(tiled_flop(AttentionProblem(**sizes, seq_q=queries), 2)) for queries in (1, 3)]
    [64.0, 256.0]
    """
    single = np.equal(problem.seq_q, 1.0)
    streams = np.where(single, problem.kv_heads, problem.heads)
    queries = np.ceil(np.where(single, np.divide(problem.heads, problem.kv_heads), problem.seq_q) / tile)
    keys = np.ceil(problem.seq_kv / tile) - np.where(single, 0.0, problem.causal) * (queries - 1.0) / 2.0
    return np.asarray(4.0 * problem.batch * streams * queries * keys * tile**2 * problem.head_dim, dtype=np.float64)


def attention_time(problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants) -> KernelTime:
    """Time of attention: a single query takes the decode kernel, more take tiles of queries."""
    single = np.equal(problem.seq_q, 1.0)
    if np.all(single):
        return decode_time(problem, limits, constants)
    prefill = prefill_time(problem, limits, constants)
    return picked(decode_time(problem, limits, constants), prefill, single) if np.any(single) else prefill


def prefill_time(problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants) -> KernelTime:
    """Time of attention over many queries: tiles of queries in waves, each walking over the keys it may see.

    Where a stack does so (``split_tiles``), tiles without a mask share their keys among the fastest number of blocks.
    """
    by_tiles = np.greater(constants.key_tile, 0.0)
    if np.all(by_tiles):
        return walked_time(problem, limits, constants)
    plain = _plain_prefill_time(problem, limits, constants)
    return picked(walked_time(problem, limits, constants), plain, by_tiles) if np.any(by_tiles) else plain


def _plain_prefill_time(
    problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants
) -> KernelTime:
    packed = np.asarray(constants.packed) * (problem.heads / np.asarray(problem.kv_heads) - 1.0) + 1.0
    tiles = problem.batch * (problem.heads / packed) * np.ceil(problem.seq_q * packed / constants.query_tile)
    span = np.minimum(constants.query_tile / packed, problem.seq_q)
    keys = problem.seq_kv - problem.causal * np.maximum(problem.seq_q - span, 0.0) / 2.0
    padded = np.ceil(problem.head_dim / np.asarray(WIDTH_STEP, dtype=np.float64)) * WIDTH_STEP
    width = np.minimum(1.0, padded / FULL_WIDTH)
    rate_per_sm = constants.compute * limits.flop_per_s * width ** -np.log2(constants.narrow) / limits.sms
    per_key = 4.0 * constants.query_tile * padded / rate_per_sm
    partial = 8.0 * problem.batch * problem.heads * problem.seq_q * problem.head_dim
    may_split = np.greater(constants.split_tiles, 0.0) & np.equal(problem.causal, 0.0)
    best: KernelTime | None = None
    for split in SPLITS if np.any(may_split) else SPLITS[:1]:
        waves = wave_count(tiles * float(split), limits.sms, constants.rounding)
        walked, longest = (np.maximum(n / split, np.minimum(n, KEY_TILE)) for n in (keys, problem.seq_kv))
        compute = np.maximum(waves * (constants.block_s + walked * per_key), constants.block_s + longest * per_key)
        memory = attention_bytes(problem) + (split * partial if split > 1 else 0.0)
        memory = memory / (constants.memory * limits.bandwidth_bytes_per_s)
        fixed = constants.launch_s + np.asarray(constants.split_s if split > 1 else 0.0)
        here = _joined(compute, memory, fixed, constants)
        best = here if best is None else _faster(best, here, may_split)
    assert best is not None
    written = problem.causal * problem.batch * problem.kv_heads * problem.seq_kv * constants.key_write_s
    return replace(best, kernel_s=best.kernel_s + written)


def decode_time(problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants) -> KernelTime:
    """Time of attention of few queries to many keys with the fastest split of the keys over blocks."""
    by_tiles = np.greater(constants.key_tile, 0.0)
    if np.all(by_tiles):
        return walked_time(problem, limits, constants, decode=True)
    plain = _plain_decode_time(problem, limits, constants)
    return picked(walked_time(problem, limits, constants, decode=True), plain, by_tiles) if np.any(by_tiles) else plain


def _plain_decode_time(problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants) -> KernelTime:
    group = np.asarray(problem.heads / np.asarray(problem.kv_heads, dtype=np.float64))
    sharing = np.where(group > constants.group_limit, 1.0, group)
    kv_bytes = _kv_bytes(problem)
    moved = attention_bytes(problem) + (group / sharing - 1.0) * kv_bytes
    resident = resident_share(kv_bytes, limits.cache_bytes, constants.resident_all, constants.resident_none)
    per_byte = mean_s_per_byte(resident, constants.memory * limits.bandwidth_bytes_per_s, constants.cache_speedup)
    partial = 8.0 * problem.batch * problem.heads * problem.seq_q * problem.head_dim
    grouped = np.greater(problem.heads, problem.kv_heads)
    may_split = grouped | np.greater(constants.split_single, 0.0)
    start = constants.launch_s + np.where(grouped, constants.group_s, 0.0)
    least = attention_flop(problem) / (constants.compute * limits.flop_per_s)
    best: KernelTime | None = None
    for split in SPLITS:
        blocks = problem.batch * problem.heads / sharing * float(split)
        keys = np.ceil(np.maximum(problem.seq_kv / split, 1.0) / KEY_TILE) * KEY_TILE
        each = constants.block_s + (sharing - 1.0) * constants.head_s
        each = each + keys * constants.key_s * (problem.head_dim / 128.0)
        compute = np.maximum(wave_count(blocks, limits.sms, constants.rounding) * each, least)
        memory = (moved + (split * partial if split > 1 else 0.0)) * per_byte
        memory = memory / bandwidth_share(blocks, limits.sms, constants.saturation)
        fixed = start + np.asarray(constants.split_s if split > 1 else 0.0)
        here = _joined(compute, memory, fixed, constants)
        best = here if best is None else _faster(best, here, may_split)
    assert best is not None
    return best


def walked_time(
    problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants, *, decode: bool = False
) -> KernelTime:
    """Time of a kernel whose blocks walk over tiles of keys, with the fastest split of them where the stack splits.

    A multiprocessor holds as many blocks as its shared memory. Alone on it a block waits for every tile (``step_s``)
    and for its products at the peak; blocks that share it take turns at ``compute`` of the peak. In decode a block has
    the heads of a group for queries (source: the split kernels of FlashAttention-2, public source).
    """
    walk = _walk(problem, limits, constants, decode=decode)
    moved = attention_bytes(problem)
    resident = resident_share(moved, limits.cache_bytes, constants.resident_all, constants.resident_none)
    per_byte = mean_s_per_byte(resident, constants.memory * limits.bandwidth_bytes_per_s, constants.cache_speedup)
    partial = 8.0 * problem.batch * problem.heads * problem.seq_q * problem.head_dim
    grouped = np.greater(problem.heads, problem.kv_heads)
    start = constants.launch_s + (np.where(grouped, constants.group_s, 0.0) if decode else 0.0)
    may_split = np.greater(constants.split_tiles, 0.0) & np.equal(problem.causal, 0.0)
    may_split = (grouped | np.greater(constants.split_single, 0.0)) if decode else may_split
    best: KernelTime | None = None
    for split in SPLITS if np.any(may_split) else SPLITS[:1]:
        blocks = walk.blocks * float(split)
        turns = np.clip(blocks / limits.sms, 1.0, walk.residents)
        each = np.maximum(walk.products_s + constants.step_s, walk.products_s / walk.ceiling * turns)
        longest = constants.block_s + np.ceil(walk.tiles / split) * each
        mean = constants.block_s + np.ceil(walk.tiles / split) * walk.mean_share * each
        waves = wave_count(blocks, limits.sms * walk.residents, constants.rounding)
        memory = (moved + (split * partial if split > 1 else 0.0)) * per_byte
        fixed = start + np.asarray(constants.split_s if split > 1 else 0.0)
        here = _joined(np.maximum(waves * mean, longest), memory, fixed, constants)
        best = here if best is None else _faster(best, here, may_split)
    assert best is not None
    written = 0.0 if decode else problem.causal * problem.batch * problem.kv_heads * problem.seq_kv
    return replace(best, kernel_s=best.kernel_s + written * constants.key_write_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """Blocks of a kernel and the tiles of keys that the longest walks over, with the mean's share of them.

    ``residents``: blocks that a multiprocessor holds; ``products_s``: of a block's tile at the peak; ``ceiling``: share
    of the peak that blocks which share a multiprocessor reach.
    """

    blocks: Number
    residents: Number
    tiles: Number
    mean_share: Number
    products_s: Number
    ceiling: Number


def _walk(problem: AttentionProblem, limits: AttentionLimits, constants: AttentionConstants, *, decode: bool) -> _Walk:
    padded = np.ceil(problem.head_dim / np.asarray(WIDTH_STEP, dtype=np.float64)) * WIDTH_STEP
    key_tile = np.maximum(constants.key_tile, 1.0) * FULL_WIDTH / padded
    staged = padded * (constants.query_tile * problem.q_width + 2.0 * key_tile * problem.kv_width) + RESERVED
    group = problem.heads / np.asarray(problem.kv_heads, dtype=np.float64)
    packed = group if decode else np.asarray(constants.packed) * (group - 1.0) + 1.0
    span = np.minimum(constants.query_tile / packed, problem.seq_q)
    hidden = problem.causal * np.maximum(problem.seq_q - span, 0.0)
    first, last = (np.ceil(keys / key_tile) for keys in (problem.seq_kv - hidden, problem.seq_kv))
    return _Walk(
        blocks=problem.batch * (problem.heads / packed) * np.ceil(problem.seq_q * packed / constants.query_tile),
        residents=np.maximum(1.0, np.floor(limits.shared_bytes_per_sm / staged)),
        tiles=last,
        mean_share=(first + last) / (2.0 * last),
        products_s=4.0 * constants.query_tile * key_tile * padded * limits.sms / limits.flop_per_s,
        ceiling=constants.compute * np.minimum(1.0, padded / FULL_WIDTH) ** -np.log2(constants.narrow),
    )


def _joined(compute: Floats, memory: Floats, fixed_s: Number, constants: AttentionConstants) -> KernelTime:
    compute, memory = np.broadcast_arrays(compute, memory)
    kernel = overlap_time_s(compute, memory, constants.overlap)
    fixed = np.broadcast_to(np.asarray(fixed_s, dtype=np.float64), kernel.shape)
    return KernelTime(fixed_s=fixed, compute_s=compute, memory_s=memory, kernel_s=kernel)


def _faster(best: KernelTime, other: KernelTime, allowed: NDArray[np.bool_]) -> KernelTime:
    return picked(other, best, allowed & (other.time_s < best.time_s))


def picked(first: KernelTime, second: KernelTime, where: NDArray[np.bool_]) -> KernelTime:
    """The first where the mask holds, else the second."""
    return KernelTime(
        fixed_s=np.where(where, first.fixed_s, second.fixed_s),
        compute_s=np.where(where, first.compute_s, second.compute_s),
        memory_s=np.where(where, first.memory_s, second.memory_s),
        kernel_s=np.where(where, first.kernel_s, second.kernel_s),
    )
