"""A product stepped through one memory port, against the formula of double-buffered tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.cost.port import Ported, port_cycles
from hwsim.cost.scratchpad import spill_bytes
from hwsim.cost.systolic import systolic_cycles
from hwsim.errors import InputError, ShapeError
from hwsim.functional.port import step_through_port

CHIP = Ported(rows=4, cols=4, words_per_cycle=8, scratchpad_words=4096, accumulator_words=4096)


def _operands(m: int, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(-128, 128, (m, k)), rng.integers(-128, 128, (k, n))


def test_one_tile_is_filled_computed_on_and_drained() -> None:
    """16 weights and 40 inputs at 8 words a cycle, 7 + 6 + 10 cycles on the array, 40 results: 7 + 23 + 5."""
    a, b = _operands(10, 4, 4)
    run = step_through_port(a, b, CHIP)
    assert np.array_equal(run.product, a @ b)
    assert (run.cycles, run.loaded_words, run.stored_words, run.spilled_words) == (35, 56, 40, 0)


def test_a_port_that_is_never_waited_for_leaves_the_pipelined_array() -> None:
    """One cycle each to fill and to drain around the pipelined count."""
    wide = replace(CHIP, words_per_cycle=10**6)
    pipelined = systolic_cycles(m=30, n=12, k=20, rows=4, cols=4, dataflow="ws", pipelined=True)
    assert step_through_port(*_operands(30, 12, 20), wide).cycles == pipelined + 2


def test_a_slow_port_sets_the_cycles() -> None:
    """One word a cycle: all words that pass, and the array's last tile beside none of them."""
    run = step_through_port(*_operands(8, 8, 16), replace(CHIP, words_per_cycle=1))
    assert run.cycles >= run.loaded_words + run.stored_words
    assert run.cycles <= run.loaded_words + run.stored_words + 30


def test_sums_beyond_the_accumulators_are_written_and_read_back() -> None:
    """40 sums of a chunk, room for 24, three folds of k: 16 leave and come back twice."""
    a, b = _operands(10, 4, 12)
    run = step_through_port(a, b, replace(CHIP, accumulator_words=24))
    assert np.array_equal(run.product, a @ b)
    assert run.spilled_words == 2 * 2 * 16
    assert run.spilled_words == float(spill_bytes(10, 4, 3, 24, 40, bytes_per_element=1))


@settings(max_examples=60, deadline=None)
@given(
    m=st.integers(1, 30),
    n=st.integers(1, 20),
    k=st.integers(1, 20),
    rows=st.integers(1, 6),
    cols=st.integers(1, 6),
    words=st.integers(1, 40),
    accumulators=st.integers(0, 80),
    spare=st.integers(0, 100),
)
def test_any_shape_takes_the_cycles_of_the_formula(
    m: int, n: int, k: int, rows: int, cols: int, words: int, accumulators: int, spare: int
) -> None:
    pad = 2 * rows * (cols + 1) + spare
    chip = Ported(rows=rows, cols=cols, words_per_cycle=words, scratchpad_words=pad, accumulator_words=accumulators)
    a, b = _operands(m, n, k)
    run = step_through_port(a, b, chip)
    assert np.array_equal(run.product, a @ b)
    assert run.cycles == port_cycles(m, n, k, chip)


def test_what_cannot_be_stepped_is_named() -> None:
    a, b = _operands(4, 4, 4)
    with pytest.raises(InputError, match="half of 30 words"):
        step_through_port(a, b, replace(CHIP, scratchpad_words=30))
    with pytest.raises(InputError, match="half of 30 words"):
        port_cycles(4, 4, 4, replace(CHIP, scratchpad_words=30))
    with pytest.raises(InputError, match="round them"):
        step_through_port(a * 0.5, b, CHIP)
    with pytest.raises(ShapeError, match="as many columns as b rows"):
        step_through_port(a, b[:3], CHIP)
