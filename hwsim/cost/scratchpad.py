"""Traffic and time of a matrix product whose operands pass through a software-managed scratchpad.

A scratchpad that is double buffered loads one tile while the other is computed on, so a tile may fill half of
it. Loads and stores share one DRAM port; partial sums live in accumulators of limited size.

Sources: K. Goto and R. van de Geijn, "Anatomy of high-performance matrix multiplication", 2008, for what is
re-read when one operand or a block of the output stays; A. Samajdar et al., "SCALE-Sim", 2018, for double
buffering by half; N. Jouppi et al., "In-datacenter performance analysis of a tensor processing unit", 2017, for
accumulators. Every argument broadcasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.cost.cache import resident_share
from hwsim.cost.roofline import overlap_time_s

__all__ = [
    "accumulator_chunks",
    "double_buffered_time_s",
    "feed_bytes",
    "gemm_traffic_bytes",
    "kept_share",
    "overlapped_time_s",
    "prefetched_time_s",
    "reload_bytes",
    "spill_bytes",
    "tile_count",
    "tile_fits",
    "usable_bytes",
]

Floats = NDArray[np.float64]
Number = Floats | float


def usable_bytes(capacity_bytes: Number, double_buffered: NDArray[np.bool_] | bool) -> Floats:
    """Bytes one tile may take: half the scratchpad when the other half is being filled.

    >>> float(usable_bytes(1024, True))
    512.0
    """
    usable: Floats = np.where(double_buffered, 0.5, 1.0) * np.asarray(capacity_bytes, float)
    return usable


def tile_fits(
    tile_m: Number,
    tile_n: Number,
    tile_k: Number,
    a_bytes_per_element: Number,
    b_bytes_per_element: Number,
    c_bytes_per_element: Number,
    capacity_bytes: Number,
    double_buffered: NDArray[np.bool_] | bool = True,
) -> NDArray[np.bool_]:
    """Whether the three operand tiles (m, k), (k, n), (m, n) fit the part of the scratchpad one tile may take."""
    a = np.multiply(tile_m, tile_k) * a_bytes_per_element
    b = np.multiply(tile_k, tile_n) * b_bytes_per_element
    c = np.multiply(tile_m, tile_n) * c_bytes_per_element
    return np.asarray(a + b + c <= usable_bytes(capacity_bytes, double_buffered))


def gemm_traffic_bytes(
    a_bytes: Number,
    b_bytes: Number,
    c_bytes: Number,
    m: Number,
    n: Number,
    usable: Number,
    accumulator_bytes_per_element: Number = 4.0,
    blocked: Number = 1.0,
) -> Floats:
    """DRAM bytes of one product through a scratchpad of ``usable`` bytes, the best of three loop orders.

    - chunks of B stay, A streams past each: ``a ceil(b / usable) + b``
    - chunks of A stay, B streams past each: ``b ceil(a / usable) + a``
    - a square block of the output stays (side s): ``a ceil(n / s) + b ceil(m / s)``

    plus the output once. An operand that fits is read once, so the least is compulsory traffic. With ``blocked`` at 0
    the third order is out of reach: accumulators do not hold such a block.

    >>> float(gemm_traffic_bytes(100, 300, 50, 10, 30, usable=100))
    450.0
    """
    a, b = np.asarray(a_bytes, float), np.asarray(b_bytes, float)
    room = np.maximum(1.0, np.asarray(usable, float))
    side = np.maximum(1.0, np.floor(np.sqrt(room / accumulator_bytes_per_element)))
    b_stays = a * np.maximum(1.0, np.ceil(b / room)) + b
    a_stays = b * np.maximum(1.0, np.ceil(a / room)) + a
    c_stays = a * np.maximum(1.0, np.ceil(np.divide(n, side))) + b * np.maximum(1.0, np.ceil(np.divide(m, side)))
    one_stays = np.minimum(b_stays, a_stays)
    traffic: Floats = np.where(np.asarray(blocked) > 0, np.minimum(one_stays, c_stays), one_stays) + c_bytes
    return traffic


def feed_bytes(a_bytes: Number, b_bytes: Number, m: Number, n: Number, block: Number) -> Floats:
    """Bytes a core takes from the shared scratchpad when its outputs are made in ``block`` x ``block`` pieces.

    A is read once for each block column, B once for each block row.

    >>> float(feed_bytes(100, 300, 10, 30, block=16))
    500.0
    """
    fed: Floats = a_bytes * np.ceil(np.divide(n, block)) + b_bytes * np.ceil(np.divide(m, block))
    return fed


def accumulator_chunks(
    stationary_time: Number, cols: Number, accumulator_bytes: Number, bytes_per_element: Number = 4.0
) -> Floats:
    """Pieces the streamed dimension falls into so that its partial sums, ``cols`` wide, fit the accumulators.

    TPU v1 holds 4,096 rows of 256 sums of 4 bytes (4 MiB): a product of 8,192 rows passes in two pieces.

    >>> float(accumulator_chunks(8192, 256, 4 * 2**20))
    2.0
    """
    rows_held = np.maximum(1.0, np.floor(np.divide(accumulator_bytes, np.multiply(cols, bytes_per_element))))
    return np.ceil(np.divide(stationary_time, rows_held))


def spill_bytes(
    m: Number,
    n: Number,
    k_folds: Number,
    accumulator_bytes: Number,
    block_elements: Number,
    bytes_per_element: Number = 4.0,
) -> Floats:
    """Bytes of partial sums that leave and come back because a block of outputs exceeds the accumulators.

    Each of the ``k_folds - 1`` folds after the first reads back and writes again (a spill is a write plus a
    read) the part of the m x n sums that is not held; nothing spills while ``block_elements`` fit.

    >>> float(spill_bytes(64, 64, 3, accumulator_bytes=0, block_elements=4096))
    65536.0
    """
    need = np.multiply(block_elements, bytes_per_element)
    missing = np.clip(1.0 - np.divide(accumulator_bytes, np.maximum(need, 1.0)), 0.0, 1.0)
    spilled: Floats = 2.0 * np.maximum(0.0, np.subtract(k_folds, 1.0)) * np.multiply(m, n) * bytes_per_element * missing
    return spilled


def reload_bytes(
    m: Number,
    n: Number,
    k_folds: Number,
    cols: Number,
    weight_bytes: Number,
    accumulator_bytes: Number,
    usable: Number,
    batch: Number = 1.0,
) -> Floats:
    """Bytes a weight-stationary array loads again because its partial sums exceed the accumulators.

    The cheaper of two ways: the streamed rows pass in pieces that fit, with the weights loaded again for each,
    or the sums spill. Weights that stay in the scratchpad (``usable``) need not be loaded again.

    >>> float(reload_bytes(8192, 256, 4, 256, 1e6, 4 * 2**20, usable=0))
    1000000.0
    """
    again = (accumulator_chunks(m, cols, accumulator_bytes) - 1.0) * weight_bytes
    spilled = batch * spill_bytes(m, n, k_folds, accumulator_bytes, np.multiply(m, cols))
    return np.where(np.less_equal(weight_bytes, usable), 0.0, np.minimum(again, spilled))


def kept_share(tensor_bytes: Number, room_bytes: Number) -> Floats:
    """Share of an operator's tensors that stays on chip between operators, 0..1.

    assumption: compilers place whole tensors and fragments of the room, so the share falls gradually, from all
    at 0.3 of the room to none at 1.7 times the room (a least-squares ramp through Ascend 910B products).

    >>> [float(kept_share(size, 100.0)) for size in (30.0, 100.0, 170.0)]
    [1.0, 0.5, 0.0]
    """
    return resident_share(tensor_bytes, room_bytes, 0.3, 1.7)


def tile_count(traffic_bytes: Number, usable: Number) -> Floats:
    """Tiles the traffic passes in, at least one."""
    tiles: Floats = np.maximum(1.0, np.ceil(np.divide(traffic_bytes, np.maximum(1.0, np.asarray(usable, float)))))
    return tiles


def double_buffered_time_s(
    compute_s: Sequence[float] | Floats,
    load_s: Sequence[float] | Floats,
    store_s: Sequence[float] | Floats,
    *,
    shared_port: bool = True,
) -> float:
    """Seconds of a sequence of tiles, arrays (tiles,): ``fill + sum max(compute_i, load_i+1, store_i-1) + drain``.

    The first load and the last store are exposed; in between, the slowest of the three sets the step. With a
    ``shared_port`` loads and stores take turns on one DRAM port, so their times add.

    >>> double_buffered_time_s([2.0, 2.0], [1.0, 1.0], [1.0, 1.0])
    6.0
    """
    compute, load, store = (np.atleast_1d(np.asarray(x, float)) for x in (compute_s, load_s, store_s))
    next_load = np.append(load[1:], 0.0)
    last_store = np.append(0.0, store[:-1])
    transfer = next_load + last_store if shared_port else np.maximum(next_load, last_store)
    return float(load[0] + np.maximum(compute, transfer).sum() + store[-1])


def overlapped_time_s(
    compute_s: Number, load_s: Number, store_s: Number, tiles: Number, *, overlap: Number = np.inf
) -> tuple[Floats, Floats]:
    """(seconds, exposed first load) of ``tiles`` equal tiles in closed form, totals of each stream given.

    ``load / tiles + max(compute, transfer) + store / tiles``: within one tile of :func:`double_buffered_time_s` with a
    shared port, and equal to it where one stream is slower in every step. Real stacks hide less: ``overlap`` is
    the exponent p of ``(compute^p + transfer^p)^(1/p)``; p = 1 adds both, infinity hides the smaller one.
    """
    compute, load, store, count = (np.asarray(x, float) for x in (compute_s, load_s, store_s, tiles))
    fill, drain = load / count, store / count
    transfer = load - fill + store - drain
    return fill + overlap_time_s(compute, transfer, overlap) + drain, fill


def prefetched_time_s(compute_s: Number, transfer_s: Number, tail_s: Number, *, overlap: Number = np.inf) -> Floats:
    """Seconds of a product whose first weights were fetched ahead into a FIFO, while its inputs were made.

    Loading runs beside computing from the start; only the ``tail_s`` of the last tile, which is computed on after it
    has been loaded, stands alone: ``max(compute - tail, transfer) + tail``. TPU v1 holds four tiles ahead (N. Jouppi
    et al., 2017, section 2).

    >>> float(prefetched_time_s(3.0, 10.0, 1.0)), float(prefetched_time_s(12.0, 10.0, 1.0))
    (11.0, 12.0)
    """
    tail = np.minimum(tail_s, compute_s)
    ahead = overlap_time_s(np.subtract(compute_s, tail), transfer_s, overlap)
    together: Floats = ahead + tail
    return together
