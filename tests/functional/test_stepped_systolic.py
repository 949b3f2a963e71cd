"""The stepped array: products, cycles against the formulas, and what a PE does when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost.systolic import DATAFLOWS, systolic_cycles
from hwsim.errors import InputError, ShapeError
from hwsim.functional.systolic import LOADING, MULTIPLYING, SystolicRun, step_systolic

sizes = st.integers(1, 18)
sides = st.integers(1, 7)
seeds = st.integers(0, 2**32 - 1)


def _operands(m: int, n: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (m, k)), rng.integers(-128, 128, (k, n))


def _pruned(b: np.ndarray, kept: int, group: int, seed: int = 0) -> np.ndarray:
    """At most ``kept`` of every ``group`` along k left, chosen at random in each column."""
    rng = np.random.default_rng(seed)
    left = b.copy()
    for first in range(0, len(b), group):
        rows = np.arange(first, min(len(b), first + group))
        for col in range(b.shape[1]):
            left[rng.permutation(rows)[kept:], col] = 0
    return left


def _check(run: SystolicRun, a: np.ndarray, b: np.ndarray, cycles: int) -> None:
    assert np.array_equal(run.product, a @ b)
    assert run.cycles == cycles


def test_four_by_four_takes_the_ten_cycles_of_the_rtl() -> None:
    """The 4 x 4 output-stationary case of scalesim-project/SCALE-Sim#125, whose RTL takes ten cycles."""
    a, b = _operands(4, 4, 4)
    _check(step_systolic(a, b, rows=4, cols=4, dataflow="os"), a, b, 10)


def test_the_corner_works_last_and_as_long_as_all_others() -> None:
    """PE (i, j) multiplies in the k cycles from i + j on."""
    a, b = _operands(3, 2, 5)
    frames = step_systolic(a, b, rows=3, cols=2, dataflow="os", watch=True).frames
    for i in range(3):
        for j in range(2):
            assert np.flatnonzero(frames[:, i, j] & MULTIPLYING).tolist() == list(range(i + j, i + j + 5))


def test_a_pipelined_array_reads_then_shifts_the_first_weights() -> None:
    """Rows - 1 = 3 cycles of reading, 4 of shifting, then PE (0, 0) starts while PE (3, 0) still shifts."""
    a, b = _operands(6, 4, 4)
    frames = step_systolic(a, b, rows=4, cols=4, pipelined=True, watch=True).frames
    assert np.flatnonzero(frames[:, 0, 0] & LOADING).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(frames[:, 0, 0] & MULTIPLYING).tolist() == list(range(7, 13))


def test_the_next_weights_shift_in_while_the_array_multiplies() -> None:
    """Only a pipelined array does both in one PE and cycle."""
    a, b = _operands(8, 4, 8)
    both = [
        int((step_systolic(a, b, rows=4, cols=4, pipelined=p, watch=True).frames == LOADING + MULTIPLYING).sum())
        for p in (False, True)
    ]
    assert both == [0, 4 * 16]


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize(
    ("m", "n", "k", "rows", "cols"),
    [(1, 1, 1, 1, 1), (1, 9, 6, 4, 4), (9, 1, 6, 4, 4), (11, 13, 17, 4, 3), (6, 5, 1, 3, 2), (2, 2, 2, 8, 8)],
    ids=["one PE", "one row", "one column", "larger than the array", "k is one", "smaller than the array"],
)
def test_edges_take_the_cycles_of_the_formula(
    m: int, n: int, k: int, rows: int, cols: int, dataflow: str, pipelined: bool
) -> None:
    a, b = _operands(m, n, k)
    run = step_systolic(a, b, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined)
    _check(run, a, b, systolic_cycles(m=m, n=n, k=k, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("pipelined", [False, True])
@settings(max_examples=25, deadline=None)
@given(m=sizes, n=sizes, k=sizes, rows=sides, cols=sides, seed=seeds)
def test_any_shape_takes_the_cycles_of_the_formula(
    m: int, n: int, k: int, rows: int, cols: int, seed: int, dataflow: str, pipelined: bool
) -> None:
    a, b = _operands(m, n, k, seed)
    run = step_systolic(a, b, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined)
    _check(run, a, b, systolic_cycles(m=m, n=n, k=k, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined))
    assert run.macs == m * n * k
    assert run.skipped == sum(int(((a[:, i, None] == 0) | (b[i] == 0)).sum()) for i in range(k))


@pytest.mark.slow
@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("pipelined", [False, True])
@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(1, 40), n=st.integers(1, 40), k=st.integers(1, 40), rows=st.integers(1, 16), cols=st.integers(1, 16)
)
def test_large_shapes_take_the_cycles_of_the_formula(
    m: int, n: int, k: int, rows: int, cols: int, dataflow: str, pipelined: bool
) -> None:
    a, b = _operands(m, n, k)
    run = step_systolic(a, b, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined)
    _check(run, a, b, systolic_cycles(m=m, n=n, k=k, rows=rows, cols=cols, dataflow=dataflow, pipelined=pipelined))


@pytest.mark.parametrize("dataflow", DATAFLOWS)
@pytest.mark.parametrize("pipelined", [False, True])
@settings(max_examples=12, deadline=None)
@given(m=sizes, n=sizes, k=sizes, side=sides, group=st.integers(1, 5), kept=st.integers(1, 5), seed=seeds)
def test_packed_weights_take_the_cycles_of_the_sparse_formula(
    m: int, n: int, k: int, side: int, group: int, kept: int, seed: int, dataflow: str, pipelined: bool
) -> None:
    pair = (min(kept, group), group)
    a, b = _operands(m, n, k, seed)
    b = _pruned(b, *pair, seed)
    run = step_systolic(a, b, rows=side, cols=side, dataflow=dataflow, pipelined=pipelined, sparsity=pair)
    _check(
        run,
        a,
        b,
        systolic_cycles(m=m, n=n, k=k, rows=side, cols=side, dataflow=dataflow, pipelined=pipelined, sparsity=pair),
    )


def test_zeros_are_skipped_without_saving_cycles() -> None:
    """Half the inputs are zero: half the multiplications fall away, the neighbours still march in step."""
    a, b = np.tile([[1, 0], [0, 1]], (2, 2)), np.full((4, 4), 3)
    run = step_systolic(a, b, rows=4, cols=4)
    assert (run.macs, run.skipped) == (64, 32)
    assert run.cycles == systolic_cycles(m=4, n=4, k=4, rows=4, cols=4)


def test_two_of_four_weights_halve_the_steps_of_an_output_stationary_fold() -> None:
    a, b = _operands(4, 4, 16)
    b = _pruned(b, 2, 4)
    run = step_systolic(a, b, rows=4, cols=4, dataflow="os", sparsity=(2, 4))
    _check(run, a, b, 8 + 4 + 4 - 2)
    assert run.macs == 4 * 4 * 8


def test_finished_sums_need_a_cycle_a_row_to_leave() -> None:
    """After the last multiplication in the corner its column still moves four sums down."""
    a, b = _operands(4, 4, 5)
    assert step_systolic(a, b, rows=4, cols=4, dataflow="os").drain_cycles == 4


def test_a_full_array_is_used_but_for_fill_and_drain() -> None:
    """Four rows of weights, 100 inputs: 100 of the 4 + 106 cycles multiply in each PE."""
    a, b = _operands(100, 4, 4)
    assert step_systolic(a, b, rows=4, cols=4).utilization == pytest.approx(100 / 110)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"b": np.ones((3, 2), int)}, ShapeError, "as many columns as b rows"),
        ({"a": np.ones((0, 2), int)}, ShapeError, "at least 1 x 1"),
        ({"a": np.ones((2, 2))}, InputError, "multiplies integers"),
        ({"dataflow": "rs"}, InputError, "one of os, ws, is"),
        ({"rows": 0}, InputError, "at least 1 x 1"),
        ({"sparsity": (1, 2)}, InputError, "prune to 1"),
        ({"sparsity": (3, 2)}, InputError, "write 1 <= n <= m"),
    ],
)
def test_what_cannot_be_stepped_is_named(change: dict[str, object], error: type[Exception], says: str) -> None:
    good: dict[str, object] = {"a": np.ones((2, 2), int), "b": np.ones((2, 2), int), "rows": 2, "cols": 2}
    with pytest.raises(error, match=says):
        step_systolic(**(good | change))  # type: ignore[arg-type]
