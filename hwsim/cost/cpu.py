"""Rates of a multi-core CPU: SIMD and matrix peaks, cache levels, threads.

Sources: S. Williams et al., "Roofline", 2009, for a roof per memory level; K. Goto and R. van de Geijn, "Anatomy of
high-performance matrix multiplication", 2008, for the traffic of blocked products; G. Amdahl, 1967, for the part
that does not thread. Every argument broadcasts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "blocked_traffic_bytes",
    "column_traffic_bytes",
    "fresh_pages",
    "layout_copies",
    "level_bandwidth_bytes_per_s",
    "parallel_share",
    "simd_flop_per_s",
    "thread_speedup",
    "tiled_multiplications",
    "vector_fill",
]

Floats = NDArray[np.float64]
Number = Floats | float

# Largest buffer that glibc's allocator may keep for the next request; larger ones it maps afresh each time and gives
# back when freed (mallopt(3), M_MMAP_THRESHOLD: at most 4 x 1024 x 1024 x sizeof(long)). Linux maps pages of 4 KiB.
_KEPT_BYTES = 32.0 * 1024.0 * 1024.0
_PAGE_BYTES = 4096.0


def simd_flop_per_s(
    cores: Number, clock_hz: Number, simd_bits: Number, element_bits: Number, fma_ports: Number
) -> Floats:
    """Peak of the SIMD units: cores x clock x lanes x ports x 2 (a fused multiply-add is two operations).

    >>> float(simd_flop_per_s(56, 2e9, 512, 32, 2)) / 1e12
    7.168
    """
    return np.multiply(cores, clock_hz) * np.divide(simd_bits, element_bits) * fma_ports * 2.0


def vector_fill(size: Number, lanes: Number) -> Floats:
    """Share of SIMD lanes with work when ``size`` elements are cut into vectors, 0..1.

    >>> float(vector_fill(24, 16))
    0.75
    """
    size, lanes = np.asarray(size, float), np.maximum(1.0, np.asarray(lanes, float))
    return size / (np.ceil(size / lanes) * lanes)


def parallel_share(units: Number, cores: Number) -> Floats:
    """Share of the cores with work when indivisible ``units`` are dealt out, 0..1; a partial round costs a whole one.

    >>> [float(parallel_share(units, 8)) for units in (8, 9, 4)]
    [1.0, 0.5625, 0.5]
    """
    units, cores = np.maximum(1.0, np.asarray(units, float)), np.asarray(cores, float)
    return units / (np.ceil(units / cores) * cores)


def thread_speedup(threads: Number, serial_share: Number) -> Floats:
    """Amdahl's speedup of ``threads`` over one: 1 / (s + (1 - s) / threads).

    >>> float(thread_speedup(4, 0.0)), float(thread_speedup(4, 1.0))
    (4.0, 1.0)
    """
    serial = np.asarray(serial_share, float)
    speedup: Floats = 1.0 / (serial + (1.0 - serial) / np.asarray(threads, float))
    return speedup


def level_bandwidth_bytes_per_s(
    working_set_bytes: Number, capacity_bytes: Sequence[Number], bandwidth_bytes_per_s: Sequence[Number]
) -> Floats:
    """Bandwidth of the nearest level that holds the working set; levels nearest first, the last holds anything.

    >>> float(level_bandwidth_bytes_per_s(3e6, [1e6, 1e7, 1e12], [4e12, 1e12, 1e11])) / 1e12
    1.0
    """
    chosen = np.asarray(bandwidth_bytes_per_s[-1], float)
    for capacity, bandwidth in zip(reversed(capacity_bytes[:-1]), reversed(bandwidth_bytes_per_s[:-1]), strict=True):
        chosen = np.where(np.less_equal(working_set_bytes, capacity), bandwidth, chosen)
    return chosen


def blocked_traffic_bytes(
    a_bytes: Number,
    b_bytes: Number,
    c_bytes: Number,
    m: Number,
    n: Number,
    cache_bytes: Number,
    bytes_per_element: Number = 4.0,
) -> Floats:
    """Bytes a blocked product takes from the level beyond a cache.

    A square block of the output, sqrt(cache / 3) on a side so that a block of each operand fits too, is finished
    before the next: A is read once for each block column, B once for each block row; an operand that fits half
    the cache is read once.

    >>> float(blocked_traffic_bytes(4e6, 4e6, 4e6, 1000, 1000, cache_bytes=3e8))
    12000000.0
    """
    cache = np.asarray(cache_bytes, float)
    side = np.maximum(1.0, np.sqrt(cache / (3.0 * np.asarray(bytes_per_element, float))))
    a_fits, b_fits = np.less_equal(a_bytes, cache / 2), np.less_equal(b_bytes, cache / 2)
    a_reads = np.where(b_fits, 1.0, np.maximum(1.0, np.divide(n, side)))
    b_reads = np.where(a_fits, 1.0, np.maximum(1.0, np.divide(m, side)))
    # Holding one operand whole leaves the other to stream once, so only one of the two is ever re-read.
    a_reads, b_reads = np.where(a_fits, 1.0, a_reads), np.where(b_fits, 1.0, b_reads)
    return np.multiply(a_bytes, a_reads) + np.multiply(b_bytes, b_reads) + c_bytes


def column_traffic_bytes(m: Number, k: Number, places: Number, bytes_per_element: Number = 4.0) -> Floats:
    """Bytes moved to lay out what a window of several places sees as the columns of one product (im2col).

    m k elements are gathered and written; the product reads them instead of the input (K. Chellapilla, S. Puri,
    P. Simard, "High Performance Convolutional Neural Networks for Document Processing", 2006, section 3).

    >>> [float(column_traffic_bytes(100, 4 * places, places, bytes_per_element=1.0)) for places in (1, 9)]
    [0.0, 7200.0]
    """
    moved: Floats = 2.0 * np.multiply(m, k) * bytes_per_element
    return np.where(np.asarray(places, float) > 1.0, moved, 0.0)


def tiled_multiplications(
    out_h: Number, out_w: Number, channels_in: Number, channels_out: Number, tile: int = 4
) -> Floats:
    """Multiplications of a 3 x 3 convolution of stride 1 over tiles of outputs, transforms aside.

    (tile + 2)^2 for each tile and pair of channels (A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural
    Networks", 2016, section 4).

    >>> float(tiled_multiplications(8, 8, 16, 16)) / (8 * 8 * 16 * 16 * 9)
    0.25
    """
    tiles = np.ceil(np.divide(out_h, tile)) * np.ceil(np.divide(out_w, tile))
    found: Floats = (tile + 2.0) ** 2 * tiles * np.multiply(channels_in, channels_out)
    return found


def layout_copies(places: Number) -> Floats:
    """Times a convolution's weights are written anew before its kernel reads them, by the places of its window.

    They are stored (outputs, inputs, places); a kernel reads blocks of inputs and outputs at each place (E. Georganas
    et al., "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures", 2018, section II). A
    framework that keeps images with channels last brings weights into that order first, which for one place they have.

    >>> [float(layout_copies(places)) for places in (1, 9)]
    [1.0, 2.0]
    """
    return np.where(np.asarray(places, float) > 1.0, 2.0, 1.0)


def fresh_pages(size_bytes: Number) -> Floats:
    """Pages that the system clears for a buffer on first touch, in every run: none where the allocator keeps buffers.

    >>> [float(fresh_pages(size * 2**20)) for size in (32, 33)]
    [0.0, 8448.0]
    """
    size = np.asarray(size_bytes, float)
    return np.where(size > _KEPT_BYTES, np.ceil(size / _PAGE_BYTES), 0.0)
