"""Recurrent layers: work by hand, values of one step by hand, both directions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.recurrent import Recurrent

SHAPES = [(3, 2, 4), (20, 4), (20, 5), (40,), (2, 5), (2, 5)]


def test_an_lstm_multiplies_inputs_at_once_and_the_state_at_each_step() -> None:
    types = [TensorType(shape, "fp16") for shape in SHAPES]
    works = Recurrent().lower(types, Recurrent().infer(types))
    gemms = [w for w in works if w.form == "gemm"]
    assert [(w.m, w.n, w.k) for w in gemms] == [(6, 20, 4)] + [(2, 20, 5)] * 3
    assert sum(w.macs for w in works) == 3 * 2 * 20 * (4 + 5)
    assert sum(w.form == "map" for w in works) == 3


def test_one_step_of_an_lstm_by_hand() -> None:
    one = np.ones((1, 1))
    states, h, c = Recurrent().reference(one[None], np.ones((4, 1)), np.zeros((4, 1)), np.zeros(8), 0 * one, 2 * one)
    gate = 1 / (1 + math.exp(-1.0))
    cell = gate * 2 + gate * math.tanh(1.0)
    assert c.item() == pytest.approx(cell)
    assert states.item() == h.item() == pytest.approx(gate * math.tanh(cell))


def test_backward_is_forward_on_the_reversed_sequence() -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape) for shape in ((3, 2, 4), (15, 4), (15, 5), (30,), (2, 5))]
    there = Recurrent("gru").reference(*arrays)
    back = Recurrent("gru", backward=True).reference(arrays[0][::-1], *arrays[1:])
    assert np.array_equal(there[0], back[0][::-1])
    assert np.array_equal(there[1], back[1])


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"W must have shape \[20, 4\]"):
        Recurrent().infer([TensorType(shape) for shape in [SHAPES[0], (19, 4), *SHAPES[2:]]])
    with pytest.raises(ShapeError, match="mode is one of lstm, gru, rnn"):
        Recurrent("mgu").infer([TensorType(shape) for shape in SHAPES])
