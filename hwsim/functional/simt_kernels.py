"""Small kernels for the stepped SIMT core, written as one would in CUDA."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.functional.simt_code import (
    Assign,
    Barrier,
    EndIf,
    If,
    Instruction,
    Load,
    Operand,
    Register,
    SharedLoad,
    SharedStore,
    Store,
    WarpView,
    add,
    divide,
    equal,
    exponential,
    fma,
    less,
    maximum,
    mul,
    remainder,
    subtract,
)

__all__ = ["block_sum", "dependent_chain", "softmax_rows", "stream", "tiled_product", "vector_add"]

Code = Generator[Instruction, Any, None]
Values = NDArray[Any]


def vector_add(warp: WarpView, x: Values, y: Values, z: Values) -> Code:
    """The sum z = x + y, an element a thread; threads beyond the end do nothing."""
    i = yield warp.index()
    if (yield If((yield less(i, len(z))))):
        a = yield Load(x, i)
        b = yield Load(y, i)
        yield Store(z, i, (yield add(a, b)))
    yield EndIf()


def dependent_chain(warp: WarpView, y: Values, length: int) -> Code:
    """Each thread adds one ``length`` times, every addition after the one before: latency, unless others hide it."""
    i = yield warp.index()
    total: Operand = 0.0
    for _ in range(length):
        total = yield add(total, 1.0)
    yield Store(y, i, total)


def stream(warp: WarpView, x: Values, y: Values, loads: int) -> Code:
    """Each thread sums ``loads`` elements, each loaded after the one before has arrived."""
    i = yield warp.index()
    total: Operand = 0.0
    for _ in range(loads):
        total = yield add(total, (yield Load(x, i)))
        i = yield fma(0, total, (yield add(i, warp.blocks * warp.threads)))
    first = yield warp.index()
    yield Store(y, first, total)


def _shared_tree(warp: WarpView, value: Operand, threads: int, function: Any) -> Code:
    """Combine a value of every thread by halves in shared memory; the result ends in word 0.

    Half of the remaining threads work in each round: within the last warp the others are masked (divergence).
    """
    yield SharedStore(warp.thread, value)
    yield Barrier()
    half = threads // 2
    while half:
        if (yield If((yield less(warp.thread, half)))):
            mine = yield SharedLoad(warp.thread)
            other = yield SharedLoad((yield add(warp.thread, half)))
            yield SharedStore(warp.thread, (yield function(mine, other)))
        yield EndIf()
        yield Barrier()
        half //= 2


def block_sum(warp: WarpView, x: Values, sums: Values) -> Code:
    """The sum of each block's elements (a power of two of threads), by halves in shared memory."""
    value = yield Load(x, (yield warp.index()))
    yield from _shared_tree(warp, value, warp.threads, add)
    if (yield If((yield equal(warp.thread, 0)))):
        yield Store(sums, warp.block, (yield SharedLoad(0)))
    yield EndIf()


def softmax_rows(warp: WarpView, x: Values, y: Values, cols: int) -> Code:
    """Softmax of a row a block: the largest, the sum of exponentials, then each divided by it."""
    places: list[Register] = []
    for first in range(0, cols, warp.threads):
        place = yield add(warp.thread, first)
        places.append(place)
    values: list[Operand] = []
    largest: Operand = -np.inf
    for place in places:
        if (yield If((yield less(place, cols)))):
            value = yield Load(x, (yield add(place, warp.block * cols)))
            largest = yield Assign(largest, (yield maximum(largest, value)))
            values.append(value)
        else:
            values.append(0.0)
        yield EndIf()
    yield from _shared_tree(warp, largest, warp.threads, maximum)
    top = yield SharedLoad(0)
    yield Barrier()
    total: Operand = 0.0
    for k, place in enumerate(places):
        values[k] = yield exponential((yield subtract(values[k], top)))
        if (yield If((yield less(place, cols)))):
            total = yield Assign(total, (yield add(total, values[k])))
        yield EndIf()
    yield from _shared_tree(warp, total, warp.threads, add)
    bottom = yield SharedLoad(0)
    for k, place in enumerate(places):
        if (yield If((yield less(place, cols)))):
            share = yield divide(values[k], bottom)
            yield Store(y, (yield add(place, warp.block * cols)), share)
        yield EndIf()


def tiled_product(warp: WarpView, a: Values, b: Values, c: Values, m: int, n: int, k: int, side: int) -> Code:
    """C (m, n) = A (m, k) B (k, n): a block makes a ``side`` x ``side`` tile from tiles of A and B in shared memory.

    Sizes that the tile does not divide are padded with zeros by masked loads.
    """
    across = -(-n // side)
    col = yield remainder(warp.thread, side)
    row = yield mul((yield subtract(warp.thread, col)), 1.0 / side)
    out_row = yield add(row, warp.block // across * side)
    out_col = yield add(col, warp.block % across * side)
    total: Operand = 0.0
    for first in range(0, k, side):
        yield from _fetch(warp, a, (out_row, (yield add(col, first))), (m, k), 0)
        yield from _fetch(warp, b, ((yield add(row, first)), out_col), (k, n), side * side)
        yield Barrier()
        for step in range(side):
            left = yield SharedLoad((yield fma(row, side, step)))
            right = yield SharedLoad((yield add(col, side * (side + step))))
            total = yield fma(left, right, total)
        yield Barrier()
    inside = yield mul((yield less(out_row, m)), (yield less(out_col, n)))
    if (yield If(inside)):
        yield Store(c, (yield fma(out_row, n, out_col)), total)
    yield EndIf()


def _fetch(warp: WarpView, array: Values, place: tuple[Operand, Operand], shape: tuple[int, int], offset: int) -> Code:
    """One element a thread from memory to shared memory, zero outside the matrix."""
    inside = yield mul((yield less(place[0], shape[0])), (yield less(place[1], shape[1])))
    value: Operand = 0.0
    if (yield If(inside)):
        value = yield Load(array, (yield fma(place[0], shape[1], place[1])))
    yield EndIf()
    yield SharedStore((yield add(warp.thread, offset)), value)
