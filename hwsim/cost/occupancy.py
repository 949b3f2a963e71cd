"""How blocks fill a SIMT chip: residency limits, waves, and how many blocks saturate its memory.

Sources: NVIDIA, "CUDA C++ Programming Guide", compute capabilities (residency limits of a multiprocessor) and
hardware multithreading; wave quantization: NVIDIA, "Matrix multiplication background user's guide", section 3.2;
Little's law for the bandwidth a few blocks can draw. Every argument broadcasts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bandwidth_share", "blocks_per_sm", "wave_count"]

Floats = NDArray[np.float64]


def blocks_per_sm(
    registers_per_block: ArrayLike,
    shared_bytes_per_block: ArrayLike,
    threads_per_block: ArrayLike,
    *,
    registers_per_sm: ArrayLike,
    shared_bytes_per_sm: ArrayLike,
    threads_per_sm: ArrayLike,
    max_blocks_per_sm: ArrayLike,
) -> Floats:
    """Blocks resident on one multiprocessor at once: the tightest of four limits; 0 where none fits.

    >>> limits = dict(registers_per_sm=65536, shared_bytes_per_sm=164e3, threads_per_sm=2048, max_blocks_per_sm=32)
    >>> float(blocks_per_sm(256 * 128, 48e3, 256, **limits))  # registers: 65536 / 32768
    2.0
    """
    with np.errstate(divide="ignore"):
        by_registers = np.floor(np.true_divide(registers_per_sm, registers_per_block))
        by_shared = np.floor(np.true_divide(shared_bytes_per_sm, shared_bytes_per_block))
        by_threads = np.floor(np.true_divide(threads_per_sm, threads_per_block))
    return np.asarray(
        np.minimum(np.minimum(by_registers, by_shared), np.minimum(by_threads, max_blocks_per_sm)), dtype=np.float64
    )


def wave_count(blocks: ArrayLike, slots: ArrayLike, rounding: ArrayLike = 1.0) -> Floats:
    """Waves that ``blocks`` take on ``slots`` places, at least one.

    ``rounding`` is how much of the missing part of the last wave is paid for: 1 is a whole wave (wave
    quantization), 0 none (blocks that vary in length, or a persistent kernel that deals work out evenly).

    >>> [float(wave_count(blocks, 10, 1.0)) for blocks in (1, 10, 11)], float(wave_count(15, 10, 0.5))
    ([1.0, 1.0, 2.0], 1.75)
    """
    exact = np.true_divide(blocks, slots, dtype=np.float64)
    waves: Floats = np.maximum(1.0, exact + np.multiply(rounding, np.ceil(exact) - exact))
    return waves


def bandwidth_share(blocks: ArrayLike, sms: ArrayLike, saturating_share: ArrayLike) -> Floats:
    """Share of the memory bandwidth that so many blocks draw, 0..1.

    Bandwidth times latency is the bytes that must be in flight (Little's law); one block keeps only so many,
    so bandwidth grows with the multiprocessors at work until ``saturating_share`` of them are.

    >>> float(bandwidth_share(5, 100, 0.2)), float(bandwidth_share(50, 100, 0.2))
    (0.25, 1.0)
    """
    working = np.minimum(np.true_divide(blocks, sms, dtype=np.float64), 1.0)
    return np.minimum(working / saturating_share, 1.0)
