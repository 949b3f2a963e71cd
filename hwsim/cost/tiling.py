"""A matrix product cut into tiles on a SIMT chip: the fastest of a list of tiles and split-K factors.

    t = fixed + min over tiles and splits of (compute^p + memory^p)^(1/p)

Sources: tiles, split-K and the waves of thread blocks: NVIDIA, "Matrix multiplication background user's guide";
A. Kerr et al., "CUTLASS: fast linear algebra in CUDA C++", 2017 (tile sizes, software pipeline, split-K). That a
tile starves the matrix units below tile_m tile_n / (tile_m + tile_n) = c is its arithmetic intensity against
the on-chip bandwidth. The terms and their constants' ranges were found on measured GEMMs of four GPUs
(``benchmarks/fit_gpu.py``).

Problem columns broadcast against chip columns: (1, rows) and (chips, 1) give (chips, rows).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.cache import mean_s_per_byte, resident_share
from hwsim.cost.occupancy import bandwidth_share, blocks_per_sm
from hwsim.cost.roofline import overlap_time_s

__all__ = [
    "SPLITS",
    "TILES",
    "GemmConstants",
    "GemmProblem",
    "GemmTime",
    "SimtLimits",
    "gemm_bytes",
    "gemm_resident_share",
    "tile_traffic_bytes",
    "tiled_gemm_time",
]

Floats = NDArray[np.float64]
Number = float | Floats

TILES: tuple[tuple[int, int], ...] = (
    (256, 128), (128, 256), (128, 128), (256, 64), (64, 256), (128, 64), (64, 128),
    (64, 64), (128, 32), (32, 128), (32, 32), (64, 16), (16, 64),
)  # fmt: skip
SPLITS: tuple[int, ...] = (1, 2, 4, 8, 16, 32)

K_TILE = 32  # elements of k a block loads at a time (CUTLASS' default for matrix units and 16-bit operands)
VECTOR_K_BYTES = 32  # the same on vector units: a sector, so 8 of fp32 as in CUTLASS' SIMT kernels and cuBLAS' sgemm
STAGE_BYTES_PER_ROW = 3 * 64  # three pipeline stages of 32 elements of 16 bits for each row of either tile
SPARE_REGISTERS = 64  # per thread, beside its accumulators: addresses and fragments
GEMV_ROWS_PER_BLOCK = 8  # outputs one block of a matrix-vector kernel produces: one a warp
CHUNK = 1 << 14  # elements priced at once, so that the dozen temporaries stay in the cache
AT_ONCE = 1 << 13  # so many of them together: larger temporaries than 64 KiB go back to the system after each call
SMALL = 1 << 15  # candidates x elements up to which all candidates are priced in one broadcast


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmProblem:
    """Columns of products, each (1, rows) or broadcastable: sizes, and bytes behind each operand.

    ``k_tile`` is how many elements of k a block loads at a time: the last of them is padded.
    Before B is used again, ``b_copies`` of it or ``cycled_bytes`` of other weights pass, whichever is more.
    """

    m: Number
    n: Number
    k: Number
    batch: Number
    a_bytes: Number
    b_bytes: Number
    c_bytes: Number
    extra_bytes: Number = 0.0
    b_copies: Number = 1.0
    cycled_bytes: Number = 0.0
    k_tile: Number = float(K_TILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimtLimits:
    """What the chip can do, each a number or (chips, 1); ``flop_per_s`` is the peak of the units at work."""

    sms: Number
    flop_per_s: Number
    bandwidth_bytes_per_s: Number
    cache_bytes: Number
    registers_per_sm: Number = 65536.0
    shared_bytes_per_sm: Number = 98304.0
    threads_per_sm: Number = 2048.0
    max_blocks_per_sm: Number = 32.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmConstants:
    """How a software stack's GEMM kernels drive the chip, each a number or (chips, 1).

    Ceilings at most 1: ``compute`` of the peak rate, ``memory`` of the DRAM bandwidth. ``starve``: the tile
    intensity c below which matrix units wait. ``wave_s``: start and drain of a round of resident blocks.
    ``rounding``: how much of a partial wave's missing part is paid. ``saturation``: share of multiprocessors
    that draws the full bandwidth. ``cache_speedup``: a resident byte against one from DRAM; ``resident_all``,
    ``resident_none``: working sets, in cache capacities, where residency ends. ``overlap``: the p-norm.
    ``k_step_s``: least time a block needs for one element of k (dependent loads). ``split_s``: the extra kernel
    that adds split-K partial sums. ``store_exposed``: share of writing C that nothing hides. ``gemv_s``,
    ``gemv_k_s``: fixed time, and time for each element of k, of a matrix-vector kernel (infinite: none);
    ``gemv_byte_s``: time in which it takes a byte into one multiprocessor, where too few loads are under way; where
    it is given, the stack always takes that kernel. ``least_tile``: side of the least tile that is chosen.
    """

    launch_s: Number = 0.0
    compute: Number = 1.0
    memory: Number = 1.0
    starve: Number = 0.0
    wave_s: Number = 0.0
    rounding: Number = 1.0
    saturation: Number = 1e-9
    cache_speedup: Number = 1.0
    resident_all: Number = 0.8
    resident_none: Number = 1.0
    overlap: Number = np.inf
    k_step_s: Number = 0.0
    split_s: Number = 0.0
    store_exposed: Number = 0.0
    gemv_s: Number = np.inf
    gemv_k_s: Number = 0.0
    gemv_byte_s: Number = 0.0
    least_tile: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GemmTime:
    """What the fastest candidate costs, each (chips, rows): ``tile`` indexes TILES (-1: matrix-vector kernel)."""

    fixed_s: Floats
    compute_s: Floats
    memory_s: Floats
    kernel_s: Floats
    tile: NDArray[np.int64]
    split: NDArray[np.int64]

    @property
    def time_s(self) -> Floats:
        """Fixed cost and kernel together."""
        return self.fixed_s + self.kernel_s


def gemm_bytes(problem: GemmProblem) -> Floats:
    """Compulsory traffic: each operand once."""
    return np.asarray(problem.a_bytes + problem.b_bytes + problem.c_bytes + problem.extra_bytes, dtype=np.float64)


def gemm_resident_share(problem: GemmProblem, limits: SimtLimits, constants: GemmConstants) -> Floats:
    """Share of the traffic that hits the cache; all cycled copies of B count in the working set.

    B itself is also cold where the weights of a network, all read before it comes round again, push it out.
    """
    moved, ramp = gemm_bytes(problem), (limits.cache_bytes, constants.resident_all, constants.resident_none)
    copies = problem.b_copies * problem.b_bytes
    near = resident_share(moved - problem.b_bytes + copies, *ramp)
    if not np.any(np.greater(problem.cycled_bytes, copies)):
        return near
    weights = resident_share(moved - problem.b_bytes + np.maximum(copies, problem.cycled_bytes), *ramp)
    return np.asarray(near + (weights - near) * problem.b_bytes / moved)


def tile_traffic_bytes(problem: GemmProblem, tile: NDArray[np.int64]) -> Floats:
    """Bytes blocks ask of the cache: every block column reads all of A, every block row all of B.

    ``tile`` indexes TILES; a matrix-vector kernel (-1) reads each operand once.
    """
    sizes = np.array([*TILES, (np.inf, np.inf)])[tile]
    again_a = np.maximum(1.0, np.ceil(problem.n / sizes[..., 1]))
    again_b = np.maximum(1.0, np.ceil(problem.m / sizes[..., 0]))
    moved = problem.a_bytes * again_a + problem.b_bytes * again_b + problem.c_bytes + problem.extra_bytes
    return np.asarray(moved, dtype=np.float64)


def tile_threads(tile_m: Number, tile_n: Number) -> Floats:
    """Threads of a block: 64 outputs a thread, between 2 and 8 warps.

    >>> [int(tile_threads(*tile)) for tile in ((128, 128), (256, 128), (32, 32))]
    [256, 256, 64]
    """
    return np.clip(np.asarray(tile_m * tile_n) // 64.0, 64.0, 256.0)


def tile_residency(tile_m: Number, tile_n: Number, limits: SimtLimits) -> Floats:
    """Blocks of such a tile that one multiprocessor holds; 0 where the tile does not fit.

    Registers: an accumulator for each output and SPARE_REGISTERS a thread. Shared memory: the pipeline stages.

    >>> float(tile_residency(128, 128, SimtLimits(sms=1, flop_per_s=1, bandwidth_bytes_per_s=1, cache_bytes=0)))
    2.0
    """
    threads = tile_threads(tile_m, tile_n)
    return blocks_per_sm(
        tile_m * tile_n + SPARE_REGISTERS * threads,
        STAGE_BYTES_PER_ROW * (tile_m + tile_n),
        threads,
        registers_per_sm=limits.registers_per_sm,
        shared_bytes_per_sm=limits.shared_bytes_per_sm,
        threads_per_sm=limits.threads_per_sm,
        max_blocks_per_sm=limits.max_blocks_per_sm,
    )


def tiled_gemm_time(problem: GemmProblem, limits: SimtLimits, constants: GemmConstants) -> GemmTime:
    """Time of each product on each chip with its fastest tile and split.

    Columns of problems are (1, rows), limits and constants numbers or (chips, 1), the result (chips, rows); a chip on
    which no tile fits takes forever.
    """
    parts = (problem, limits, constants)
    shape = np.broadcast_shapes(*(np.shape(getattr(part, f.name)) for part in parts for f in fields(part)))
    if len(shape) < 2:
        shape = (1,) * (2 - len(shape)) + shape
    chips, rows = shape
    if chips * rows <= CHUNK:
        whole = _fastest(problem, limits, constants)
        return GemmTime(**{f.name: np.broadcast_to(getattr(whole, f.name), shape) for f in fields(GemmTime)})
    result = _empty(shape)
    row_step = min(rows, CHUNK)
    chip_step = max(1, CHUNK // max(1, row_step))
    for chip in range(0, chips, chip_step):
        for row in range(0, rows, row_step):
            here = (slice(chip, chip + chip_step), slice(row, row + row_step))
            cut_problem, cut_limits, cut_constants = _cut(problem, here), _cut(limits, here), _cut(constants, here)
            chunk = _fastest(cut_problem, cut_limits, cut_constants)
            for item in fields(GemmTime):
                getattr(result, item.name)[here] = getattr(chunk, item.name)
    return result


Part = TypeVar("Part", GemmProblem, SimtLimits, GemmConstants)


def _empty(shape: tuple[int, ...]) -> GemmTime:
    times = {name: np.empty(shape) for name in ("fixed_s", "compute_s", "memory_s", "kernel_s")}
    return GemmTime(**times, tile=np.empty(shape, np.int64), split=np.empty(shape, np.int64))


def _cut(part: Part, here: tuple[slice, slice]) -> Part:
    """The part of every column that a chunk needs; axes of length one broadcast and stay."""
    cut = {}
    for item in fields(part):
        value = getattr(part, item.name)
        if np.ndim(value) == 2:
            cut[item.name] = value[tuple(s if n > 1 else slice(None) for s, n in zip(here, value.shape, strict=True))]
    return replace(part, **cut) if cut else part


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What every candidate of a chunk shares."""

    bytes: Floats
    s_per_byte: Floats
    partial_bytes: Floats
    exposed_s: Floats
    s_per_mac_on_sm: Number


def _common(problem: GemmProblem, limits: SimtLimits, constants: GemmConstants) -> _Common:
    moved, resident = gemm_bytes(problem), gemm_resident_share(problem, limits, constants)
    bandwidth = constants.memory * limits.bandwidth_bytes_per_s
    return _Common(
        bytes=moved,
        s_per_byte=mean_s_per_byte(resident, bandwidth, constants.cache_speedup),
        partial_bytes=np.asarray(8.0 * problem.m * problem.n * problem.batch),
        exposed_s=np.asarray(constants.store_exposed * problem.c_bytes / bandwidth),
        s_per_mac_on_sm=2.0 * limits.sms / (constants.compute * limits.flop_per_s),
    )


def _candidate(
    problem: GemmProblem,
    limits: SimtLimits,
    constants: GemmConstants,
    common: _Common,
    tile: tuple[Number, Number, Number],
    split: Number,
) -> tuple[Floats, Floats, Floats]:
    """Compute time, memory time and rank of one tile (m, n, residency) and split, or of many along a leading axis.

    The rank, sqrt(compute^2 + memory^2) + split, orders candidates much as the p-norm would, without its powers.
    """
    tile_m, tile_n, residency = tile
    grid = np.ceil(problem.m / tile_m) * np.ceil(problem.n / tile_n) * problem.batch
    blocks_each = grid * (split / limits.sms)
    starved = np.maximum(1.0, constants.starve * ((tile_m + tile_n) / (tile_m * tile_n)))
    k_padded = np.ceil(problem.k / (split * problem.k_tile)) * problem.k_tile
    rounds = np.ceil(blocks_each / residency)
    waves = np.maximum(1.0, blocks_each + constants.rounding * (np.ceil(blocks_each) - blocks_each))
    compute = waves * (k_padded * (tile_m * tile_n * starved * common.s_per_mac_on_sm))
    compute = np.maximum(compute, rounds * (k_padded * constants.k_step_s)) + rounds * constants.wave_s
    compute += common.exposed_s
    slower = np.maximum(constants.saturation / blocks_each, np.maximum(constants.saturation, 1.0))
    memory = slower * ((common.bytes + (split - 1.0) * common.partial_bytes) * common.s_per_byte)
    rank = np.sqrt(compute * compute + memory * memory) + np.where(np.greater(split, 1), constants.split_s, 0.0)
    return compute, memory, rank


_PAIRS = [(tile, split) for tile in range(len(TILES)) for split in range(len(SPLITS))]
"""Indices of every (tile, split)."""
_SPLITS = np.array([float(split) for split in SPLITS])[:, None, None]
_TILE_M, _TILE_N = (np.array([float(tile[axis]) for tile in TILES])[:, None, None] for axis in (0, 1))


def _fastest(problem: GemmProblem, limits: SimtLimits, constants: GemmConstants) -> GemmTime:
    common = _common(problem, limits, constants)
    shorter, residency = np.minimum(_TILE_M, _TILE_N), tile_residency(_TILE_M, _TILE_N, limits)
    residency = np.where(shorter < constants.least_tile, 0.0, residency)
    elements = common.s_per_byte.size
    with np.errstate(divide="ignore", invalid="ignore"):  # a tile of residency 0 takes forever, and is skipped
        few = elements * len(TILES) * len(SPLITS) <= SMALL
        search = _search_at_once if few else _search_in_turn
        compute, memory, chosen = search(problem, limits, constants, common, residency)
    kernel = overlap_time_s(compute, memory, constants.overlap)
    tile, split = chosen // len(SPLITS), np.take(SPLITS, chosen % len(SPLITS))
    fixed = constants.launch_s + np.where(split > 1, constants.split_s, 0.0)
    found = GemmTime(fixed_s=fixed, compute_s=compute, memory_s=memory, kernel_s=kernel, tile=tile, split=split)
    if not np.any(np.isfinite(constants.gemv_s)):
        return found
    return _or_matrix_vector(problem, limits, constants, common, found)


def _search_at_once(
    problem: GemmProblem, limits: SimtLimits, constants: GemmConstants, common: _Common, residency: Floats
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Candidates along a leading axis, several tiles at a time: few NumPy calls, for small tables."""
    step = max(1, AT_ONCE // (common.s_per_byte.size * len(SPLITS)))
    tiles = [slice(start, start + step) for start in range(0, len(TILES), step)]
    best, *others = (_fastest_of(part, problem, limits, constants, common, residency) for part in tiles)
    for other in others:
        better = other[2] < best[2]
        best = tuple(np.where(better, new, old) for new, old in zip(other, best, strict=True))
    return best[0], best[1], best[3]


def _fastest_of(
    tiles: slice,
    problem: GemmProblem,
    limits: SimtLimits,
    constants: GemmConstants,
    common: _Common,
    residency: Floats,
) -> tuple[NDArray[Any], ...]:
    """Compute, memory and rank of the fastest of some tiles with any split, and its place in _PAIRS."""
    by_tile = (_TILE_M[tiles, None], _TILE_N[tiles, None], residency[tiles, None])
    compute, memory, rank = _candidate(problem, limits, constants, common, by_tile, _SPLITS)
    fits = by_tile[2] > 0.0
    if not np.all(fits):
        compute, rank = np.where(fits, compute, np.inf), np.where(fits, rank, np.inf)
    columns = [part.reshape(-1, *part.shape[2:]) for part in np.broadcast_arrays(compute, memory, rank)]
    chosen = np.argmin(columns[2], axis=0)[None]
    compute, memory, rank = (np.take_along_axis(part, chosen, 0)[0] for part in columns)
    return compute, memory, rank, chosen[0] + tiles.start * len(SPLITS)


def _search_in_turn(
    problem: GemmProblem, limits: SimtLimits, constants: GemmConstants, common: _Common, residency: Floats
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """One candidate after the other with a running minimum: temporaries that fit the cache, for big tables."""
    shape = np.broadcast_shapes(common.s_per_byte.shape, np.shape(common.s_per_mac_on_sm))
    best = np.full(shape, np.inf)
    compute, memory, chosen = np.full(shape, np.inf), np.zeros(shape), np.zeros(shape, np.int64)
    for index, (t, s) in enumerate(_PAIRS):
        tile = (float(TILES[t][0]), float(TILES[t][1]), residency[t])
        here_compute, here_memory, rank = _candidate(problem, limits, constants, common, tile, float(SPLITS[s]))
        better = (rank < best) & (residency[t] > 0.0)
        np.copyto(best, rank, where=better)
        np.copyto(compute, here_compute, where=better)
        np.copyto(memory, here_memory, where=better)
        np.copyto(chosen, index, where=better)
    return compute, memory, chosen


def _or_matrix_vector(
    problem: GemmProblem, limits: SimtLimits, constants: GemmConstants, common: _Common, tiled: GemmTime
) -> GemmTime:
    """The matrix-vector kernel where m or n is 1 and it is faster: it streams the matrix, without tiles."""
    outputs = np.maximum(problem.m, problem.n) * problem.batch
    share = bandwidth_share(outputs / GEMV_ROWS_PER_BLOCK, limits.sms, constants.saturation)
    memory = common.bytes * common.s_per_byte / share
    taken_in = common.bytes * (constants.gemv_byte_s / limits.sms)
    compute = np.broadcast_to(np.maximum(problem.k * np.asarray(constants.gemv_k_s), taken_in), memory.shape)
    kernel = np.hypot(compute, memory)
    vector = np.minimum(problem.m, problem.n) == 1
    always = np.asarray(constants.gemv_byte_s) > 0.0
    better = vector & (always | (constants.gemv_s + kernel < tiled.time_s))
    return GemmTime(
        fixed_s=np.where(better, constants.gemv_s, tiled.fixed_s),
        compute_s=np.where(better, compute, tiled.compute_s),
        memory_s=np.where(better, memory, tiled.memory_s),
        kernel_s=np.where(better, kernel, tiled.kernel_s),
        tile=np.where(better, -1, tiled.tile),
        split=np.where(better, 1, tiled.split),
    )
