"""The recurrence of state-space layers by hand, and what it asks of a device."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map
from hwsim.operators.selective_scan import SelectiveScan


def test_a_single_number_of_state_decays_and_grows_by_hand() -> None:
    """Steps of softplus(0) = log 2 and decay exp(0) = 1 halve the state; it gains log 2 x b, and y = c h + skip x."""
    one = np.ones((1, 2, 1, 1))
    x = np.array([[[[3.0]], [[5.0]]]])
    zero = np.zeros(1)
    y, state = SelectiveScan().reference(x, np.zeros((1, 2, 1)), zero, zero, one, 2.0 * one, np.array([0.5]))
    first = math.log(2) * 3.0
    second = first / 2.0 + math.log(2) * 5.0
    np.testing.assert_allclose(y[0, :, 0, 0], [2.0 * first + 1.5, 2.0 * second + 2.5])
    np.testing.assert_allclose(state, [[[[second]]]])


def test_the_state_is_read_and_written_once_in_its_own_format() -> None:
    batch, heads, dim, size = 4, 8, 16, 32
    fp16 = [(batch, 1, heads, dim), (batch, 1, heads), (heads,), (heads,), *[(batch, 1, 2, size)] * 2, (heads,)]
    inputs = [*(TensorType(shape, "fp16") for shape in fp16), TensorType((batch, heads, dim, size), "fp32")]
    outputs = SelectiveScan().infer(inputs)
    assert [t.format for t in outputs] == ["fp16", "fp32"]
    (work,) = SelectiveScan().lower(inputs, outputs)
    assert isinstance(work, Map)
    state = 4 * batch * heads * dim * size
    assert work.bytes_out == state + 2 * batch * heads * dim
    assert work.bytes_in - state == sum(t.size_bytes for t in inputs[:7])
    assert work.flop == batch * heads * dim * (5 * size + 2)


def test_groups_must_divide_heads() -> None:
    shapes = [(1, 1, 4, 2), (1, 1, 4), (4,), (4,), (1, 1, 3, 2), (1, 1, 3, 2), (4,)]
    with pytest.raises(ShapeError, match="3 groups do not divide 4 heads"):
        SelectiveScan().infer([TensorType(shape, "fp16") for shape in shapes])
