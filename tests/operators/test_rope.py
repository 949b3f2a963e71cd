"""Rotary embedding against complex rotation, pair by pair."""

from __future__ import annotations

import cmath

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.rope import Rope

RNG = np.random.default_rng(9)


@pytest.mark.parametrize("interleaved", [False, True])
def test_each_pair_turns_by_position_times_its_frequency(interleaved: bool) -> None:
    x = RNG.standard_normal((2, 3, 5, 6))
    (y,) = Rope(theta=100.0, interleaved=interleaved).reference(x)
    for b, h, s in np.ndindex(2, 3, 5):
        for i in range(3):
            first, second = (2 * i, 2 * i + 1) if interleaved else (i, i + 3)
            turn = cmath.exp(1j * s * 100.0 ** (-2 * i / 6))
            expected = complex(x[b, h, s, first], x[b, h, s, second]) * turn
            assert complex(y[b, h, s, first], y[b, h, s, second]) == pytest.approx(expected)


def test_scores_depend_on_the_distance_of_positions_only() -> None:
    q, k = RNG.standard_normal((2, 1, 1, 1, 64))
    scores = []
    for p in (0, 17):
        (turned_q,) = Rope().reference(q, np.array([p + 3]))
        (turned_k,) = Rope().reference(k, np.array([p]))
        scores.append((turned_q * turned_k).sum())
    assert scores[0] == pytest.approx(scores[1])


def test_positions_may_differ_by_sequence() -> None:
    x = RNG.standard_normal((2, 1, 3, 4))
    positions = np.array([[0, 1, 2], [7, 8, 9]])
    (y,) = Rope().reference(x, positions)
    for b in range(2):
        assert np.allclose(y[b : b + 1], Rope().reference(x[b : b + 1], positions[b])[0])


def test_cosines_and_sines_are_read_once_for_all_heads() -> None:
    x = TensorType((1, 32, 10, 128), "fp16")
    (work,) = Rope().lower([x], [x])
    assert work.bytes_in == x.size_bytes + 2 * 10 * 128
    assert (work.flop_per_element, work.special_per_element) == (3, 0)


def test_an_odd_head_and_misfit_positions_are_refused() -> None:
    with pytest.raises(ShapeError, match="must be even"):
        Rope().infer([TensorType((1, 1, 2, 5))])
    with pytest.raises(ShapeError, match=r"positions must be \[2\]"):
        Rope().infer([TensorType((1, 1, 2, 4)), TensorType((3,))])
