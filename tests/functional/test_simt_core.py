"""The stepped multiprocessor: values of kernels, and its throughput against the formulas of the cost model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.cost.occupancy import bandwidth_share, blocks_per_sm, wave_count
from hwsim.errors import InputError
from hwsim.functional.multiprocessor import SimtRun, Sm, sm_of
from hwsim.functional.simt_code import (
    AnyLane,
    Assign,
    Barrier,
    Else,
    EndIf,
    If,
    Load,
    SharedLoad,
    SharedStore,
    Store,
    add,
    less,
    mul,
    remainder,
)
from hwsim.functional.simt_core import run_kernel
from hwsim.functional.simt_kernels import (
    block_sum,
    dependent_chain,
    softmax_rows,
    stream,
    tiled_product,
    vector_add,
)

RNG = np.random.default_rng(0)


def _chain(warps: int, length: int, sm: Sm) -> SimtRun:
    """Blocks of one warp, each a chain of dependent additions."""
    return run_kernel(dependent_chain, np.zeros(32 * warps), length, blocks=warps, threads=32, sm=sm)


def test_one_warp_waits_out_every_latency() -> None:
    """The index at 0 (free until the end), a hundred additions 4 cycles apart, the store when the last has arrived."""
    run = _chain(1, 100, Sm(memory_bytes_per_cycle=1e9))
    assert run.instructions == 102
    assert run.cycles == pytest.approx(4 * 100 + 2, abs=1)


@pytest.mark.parametrize("warps", [1, 2, 3, 4, 6, 12])
def test_arithmetic_throughput_is_warps_over_latency_up_to_one(warps: int) -> None:
    """Little's law: with 4 cycles of latency four warps fill the scheduler, more share it."""
    run = _chain(warps, 400, Sm(memory_bytes_per_cycle=1e9))
    assert run.instructions_per_cycle == pytest.approx(min(1.0, warps / 4), rel=0.02)


def test_a_second_scheduler_doubles_the_throughput() -> None:
    one, two = (_chain(16, 200, Sm(schedulers=s, memory_bytes_per_cycle=1e9)) for s in (1, 2))
    assert one.cycles / two.cycles == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("warps", [1, 2, 4, 8, 16, 32, 64])
def test_bandwidth_grows_with_warps_as_the_formula_of_saturation_says(warps: int) -> None:
    """A load takes 16 cycles of the port (128 bytes at 8), 400 of latency, 8 of arithmetic: 26.5 warps saturate it."""
    sm = Sm(max_warps=64, memory_cycles=400, memory_bytes_per_cycle=8.0)
    x, y = np.zeros(32 * warps * 12, np.float32), np.zeros(32 * warps, np.float32)
    run = run_kernel(stream, x, y, 12, blocks=warps, threads=32, sm=replace(sm, max_blocks=64))
    saturating = (16 + 400 + 8) / 16
    drawn = run.memory_bytes_per_cycle / sm.memory_bytes_per_cycle
    assert drawn == pytest.approx(float(bandwidth_share(warps, 64, saturating / 64)), rel=0.08)


@pytest.mark.parametrize(
    ("registers", "shared", "threads"), [(32, 0, 64), (128, 0, 256), (32, 40_000, 128), (255, 0, 1024), (16, 0, 1024)]
)
def test_residency_is_that_of_the_occupancy_formula(registers: int, shared: int, threads: int) -> None:
    sm = Sm()
    limits: dict[str, Any] = {"registers_per_sm": sm.registers, "shared_bytes_per_sm": sm.shared_bytes}
    limits |= {"threads_per_sm": sm.max_warps * 32, "max_blocks_per_sm": sm.max_blocks}
    fits = int(blocks_per_sm(registers * threads, max(shared, 1), threads, **limits))
    options: dict[str, Any] = {"threads": threads, "registers_per_thread": registers, "shared_bytes": shared}
    y = np.zeros(40 * threads)
    if fits:
        run = run_kernel(dependent_chain, y, 2, blocks=40, sm=sm, **options)
        assert (run.resident_blocks, run.resident_warps) == (fits, fits * threads // 32)
    else:
        with pytest.raises(InputError, match="does not fit"):
            run_kernel(dependent_chain, y, 2, blocks=40, sm=sm, **options)


@pytest.mark.parametrize("blocks", [1, 4, 5, 8, 9])
def test_a_partial_wave_of_equal_blocks_costs_a_whole_one(blocks: int) -> None:
    """Four slots, warps that only wait for themselves."""
    sm = Sm(max_blocks=4, memory_bytes_per_cycle=1e9)
    ratio = _chain(blocks, 200, sm).cycles / _chain(1, 200, sm).cycles
    assert ratio == pytest.approx(float(wave_count(blocks, 4)), rel=0.02)


def test_occupancy_hides_memory_latency() -> None:
    """Fewer registers, more blocks at once, the same work sooner: 4 warps resident against 32."""
    x = np.zeros(64 * 32 * 10, np.float32)
    few, many = (
        run_kernel(stream, x, np.zeros(64 * 32), 10, blocks=64, threads=32, registers_per_thread=r) for r in (512, 64)
    )
    assert (few.resident_warps, many.resident_warps) == (4, 32)
    assert few.cycles > 5 * many.cycles


@settings(max_examples=15, deadline=None)
@given(size=st.integers(1, 300), threads=st.sampled_from([32, 64, 100]))
def test_vectors_of_any_size_are_added(size: int, threads: int) -> None:
    x, y, z = RNG.normal(size=size), RNG.normal(size=size), np.zeros(size)
    run = run_kernel(vector_add, x, y, z, blocks=-(-size // threads), threads=threads)
    assert np.array_equal(z, x + y)
    assert run.memory_bytes >= 3 * 8 * size


@pytest.mark.parametrize("threads", [32, 128, 256])
def test_a_block_sums_its_elements(threads: int) -> None:
    x, sums = RNG.integers(-9, 9, 3 * threads).astype(np.float32), np.zeros(3, np.float32)
    run = run_kernel(block_sum, x, sums, blocks=3, threads=threads, shared_bytes=4 * threads)
    assert np.array_equal(sums, x.reshape(3, -1).sum(1))
    assert run.lane_share < 1.0


@settings(max_examples=6, deadline=None)
@given(m=st.integers(1, 20), n=st.integers(1, 20), k=st.integers(1, 20))
def test_a_tiled_product_is_the_product(m: int, n: int, k: int) -> None:
    a, b = RNG.integers(-9, 9, (m, k)).astype(np.float32), RNG.integers(-9, 9, (k, n)).astype(np.float32)
    c = np.zeros(m * n, np.float32)
    blocks = -(-m // 8) * -(-n // 8)
    run_kernel(tiled_product, a.ravel(), b.ravel(), c, m, n, k, 8, blocks=blocks, threads=64, shared_bytes=4 * 128)
    assert np.array_equal(c.reshape(m, n), a @ b)


def test_tiles_in_shared_memory_save_traffic() -> None:
    """32 x 32 x 32 in tiles of 16 reads each operand twice, in tiles of 8 four times."""
    a, b = (RNG.integers(-9, 9, 32 * 32).astype(np.float32) for _ in range(2))
    moved = []
    for side in (8, 16):
        c = np.zeros(32 * 32, np.float32)
        options: dict[str, Any] = {"blocks": (32 // side) ** 2, "threads": side * side}
        run = run_kernel(tiled_product, a, b, c, 32, 32, 32, side, shared_bytes=8 * side * side, **options)
        moved.append(run.memory_bytes - 4 * 32 * 32)
    assert moved == [2 * 4 * 4 * 32 * 32, 2 * 2 * 4 * 32 * 32]


@pytest.mark.parametrize("cols", [5, 64, 150])
def test_softmax_of_rows_is_that_of_numpy(cols: int) -> None:
    x, y = RNG.normal(size=(3, cols)), np.zeros(3 * cols)
    run_kernel(softmax_rows, x.ravel(), y, cols, blocks=3, threads=64, shared_bytes=256)
    exact = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    assert np.allclose(y.reshape(3, cols), exact, rtol=1e-5)


def _parity(warp: Any, y: Any, together: bool) -> Any:
    """Even threads get 1, odd ones 2; with ``together`` whole warps agree."""
    parity = yield remainder(warp.block if together else warp.thread, 2)
    value: Any = 0.0
    if (yield If((yield less(parity, 1)))):
        for _ in range(50):
            value = yield Assign(value, (yield add(value, 0.02)))
    if (yield Else()):
        for _ in range(50):
            value = yield Assign(value, (yield add(value, 0.04)))
    yield EndIf()
    yield Store(y, (yield warp.index()), value)


def test_a_warp_whose_lanes_disagree_runs_both_branches() -> None:
    apart, together = np.zeros(128), np.zeros(128)
    diverged = run_kernel(_parity, apart, False, blocks=4, threads=32)
    uniform = run_kernel(_parity, together, True, blocks=4, threads=32)
    assert np.allclose(apart, np.tile([1.0, 2.0], 64))
    assert np.allclose(together, np.repeat([1.0, 2.0, 1.0, 2.0], 32))
    assert diverged.instructions > 1.8 * uniform.instructions
    assert uniform.lane_share == pytest.approx(1.0, abs=0.02)
    assert diverged.lane_share == pytest.approx(0.5, abs=0.05)


def _leave_one_by_one(warp: Any, y: Any) -> Any:
    """Each lane counts to its own place; the loop ends when the last lane has."""
    count: Any = 0.0
    while (yield AnyLane((yield less(count, warp.thread)))):
        yield If((yield less(count, warp.thread)))
        count = yield Assign(count, (yield add(count, 1.0)))
        yield EndIf()
    yield Store(y, warp.thread, count)


def test_lanes_may_leave_a_loop_one_by_one() -> None:
    y = np.zeros(32)
    run_kernel(_leave_one_by_one, y, blocks=1, threads=32)
    assert y.tolist() == list(range(32))


def _strided(warp: Any, stride: int) -> Any:
    place = yield mul(warp.thread, stride)
    yield SharedStore(place, 1.0)
    yield SharedLoad(place)


@pytest.mark.parametrize(("stride", "conflicts"), [(1, 0), (2, 2), (32, 62), (33, 0)])
def test_lanes_that_meet_in_a_bank_are_served_in_turn(stride: int, conflicts: int) -> None:
    """32 banks of a word: a stride of 32 puts all lanes in one, and 33, the padded row, in none twice."""
    run = run_kernel(_strided, stride, blocks=1, threads=32, shared_bytes=4 * 32 * 33)
    assert run.bank_conflicts == conflicts


def _gather(warp: Any, x: Any, stride: int) -> Any:
    yield Load(x, (yield mul(warp.thread, stride)))


@pytest.mark.parametrize(("stride", "sectors"), [(1, 4), (2, 8), (8, 32)])
def test_a_load_moves_whole_sectors(stride: int, sectors: int) -> None:
    assert run_kernel(_gather, np.zeros(256, np.float32), stride, blocks=1, threads=32).memory_bytes == 32 * sectors


def _barrier_inside(warp: Any) -> Any:
    yield If((yield less(warp.thread, 3)))
    yield Barrier()
    yield EndIf()


def _else_alone(_warp: Any) -> Any:
    yield Else()


def _unbalanced(warp: Any) -> Any:
    yield If((yield less(warp.thread, 3)))


@pytest.mark.parametrize(
    ("kernel", "arguments", "says"),
    [
        (_barrier_inside, (), "Barrier inside an If"),
        (_unbalanced, (), "ends inside an If"),
        (_else_alone, (), "Else outside an If"),
        (_gather, (np.zeros(31), 1), "place 31"),
    ],
)
def test_what_a_kernel_does_wrong_is_named(kernel: Any, arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        run_kernel(kernel, *arguments, blocks=1, threads=32)


def test_a_chip_of_the_library_gives_its_multiprocessor() -> None:
    """H100: 3.35 TB/s over 132 multiprocessors at 1.83 GHz, 128 fp32 lanes in four schedulers."""
    sm = sm_of(hwsim.load_device("h100_sxm"))
    assert (sm.schedulers, sm.lanes, sm.max_warps) == (4, 32, 64)
    assert sm.memory_bytes_per_cycle == pytest.approx(3.35e12 / (132 * 1.83e9), rel=0.1)
    with pytest.raises(InputError, match="needs a simt_gpu"):
        sm_of(hwsim.load_device("tpu_v1"))
