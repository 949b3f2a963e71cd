"""Element-wise operators against the C library, one element at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.operator import OPERATORS
from hwsim.graph.tensor import TensorType
from hwsim.operators.add import Add
from hwsim.operators.cast import Cast
from hwsim.operators.div import Div
from hwsim.operators.gelu import Gelu
from hwsim.operators.gelu_mul import GeluMul
from hwsim.operators.leaky_relu import LeakyRelu
from hwsim.operators.mul import Mul
from hwsim.operators.pow import Pow
from hwsim.operators.scale_shift import ScaleShift
from hwsim.operators.sigmoid import Sigmoid
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.sub import Sub

X = np.linspace(-7, 7, 57)


def _phi(x: float) -> float:
    return x * 0.5 * math.erfc(-x / math.sqrt(2))


def _tanh_gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


SCALAR: dict[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "exp": math.exp,
    "silu": lambda x: x / (1 + math.exp(-x)),
    "quick_gelu": lambda x: x / (1 + math.exp(-1.702 * x)),
    "hardsigmoid": lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
    "hardswish": lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0),
    "gelu": _phi,
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
    "step": lambda x: 1.0 if x >= 0 else 0.0,
}


@pytest.mark.parametrize("kind", sorted(SCALAR))
def test_a_function_of_one_tensor_agrees_with_the_c_library(kind: str) -> None:
    (y,) = OPERATORS[kind]().reference(X)
    assert np.allclose(y, [SCALAR[kind](x) for x in X.tolist()], rtol=1e-12, atol=1e-15)


def test_approximate_gelu_takes_the_tanh_formula() -> None:
    (y,) = Gelu(approximate=True).reference(X)
    assert np.allclose(y, [_tanh_gelu(x) for x in X.tolist()], rtol=1e-12)
    assert 1e-5 < np.abs(y - Gelu().reference(X)[0]).max() < 1e-3


def test_sigmoid_of_large_numbers_does_not_overflow() -> None:
    (y,) = Sigmoid().reference(np.array([-1e4, 1e4], np.float32))
    assert y.tolist() == [0.0, 1.0]


def test_leaky_relu_scales_negatives_by_its_slope() -> None:
    assert LeakyRelu(slope=0.5).reference(np.array([-4.0, 4.0]))[0].tolist() == [-2.0, 4.0]


@pytest.mark.parametrize(("op", "expected"), [(Add, 8.0), (Sub, 4.0), (Mul, 12.0), (Div, 3.0), (Pow, 36.0)])
def test_arithmetic_takes_two_tensors_or_a_tensor_and_a_number(op: Any, expected: float) -> None:
    six, two = np.full((2, 3), 6.0), np.full((3,), 2.0)
    assert (op().reference(six, two)[0] == np.full((2, 3), expected)).all()
    assert (op(2.0).reference(six)[0] == np.full((2, 3), expected)).all()


def test_two_tensors_broadcast_to_the_larger_shape() -> None:
    (y,) = Add().infer([TensorType((4, 1, 3), "fp16"), TensorType((5, 3), "fp16", weight=True)])
    assert y == TensorType((4, 5, 3), "fp16")


def test_shapes_that_do_not_broadcast_are_named() -> None:
    with pytest.raises(ShapeError, match=r"add: shapes \[4, 3\] and \[5, 3\] do not broadcast"):
        Add().infer([TensorType((4, 3)), TensorType((5, 3))])


def test_gated_units_multiply_the_activated_gate_with_up() -> None:
    up = np.cos(X)
    silu = [x / (1 + math.exp(-x)) * u for x, u in zip(X.tolist(), up.tolist(), strict=True)]
    gelu = [_phi(x) * u for x, u in zip(X.tolist(), up.tolist(), strict=True)]
    tanh = [_tanh_gelu(x) * u for x, u in zip(X.tolist(), up.tolist(), strict=True)]
    assert np.allclose(SiluMul().reference(X, up)[0], silu, rtol=1e-12)
    assert np.allclose(GeluMul().reference(X, up)[0], gelu, rtol=1e-12)
    assert np.allclose(GeluMul(approximate=True).reference(X, up)[0], tanh, rtol=1e-12)


def test_modulation_scales_by_one_plus_scale_and_shifts() -> None:
    x, scale, shift = np.full((1, 2, 2), 3.0), np.array([[[1.0, 0.0]]]), np.array([[[0.5, -1.0]]])
    assert ScaleShift().reference(x, scale, shift)[0].tolist() == [[[6.5, 2.0], [6.5, 2.0]]]


def test_modulation_must_not_enlarge_its_input() -> None:
    with pytest.raises(ShapeError, match="must broadcast to x"):
        ScaleShift().infer([TensorType((1, 4)), TensorType((2, 4)), TensorType((1, 4))])


def test_a_map_reads_each_input_once_and_counts_by_output_element() -> None:
    x, bias = TensorType((8, 4), "fp16"), TensorType((4,), "fp32")
    (work,) = Add().lower([x, bias], Add().infer([x, bias]))
    assert (work.kernel, work.bytes_in, work.bytes_out, work.flop) == ("add", 64 + 16, 64, 32)


def test_special_functions_are_counted_apart() -> None:
    x = TensorType((10,), "fp16")
    (work,) = SiluMul().lower([x, x], [x])
    assert (work.flop_per_element, work.special_per_element) == (4, 2)  # negate, add, two products; exp, reciprocal


def test_a_truncating_cast_cuts_towards_zero_where_the_other_rounds() -> None:
    x = np.array([-1.7, 0.6, 2.5])
    assert Cast("int32", truncate=True).reference(x)[0].tolist() == [-1, 0, 2]
    assert Cast("int32").reference(x)[0].tolist() == [-2, 1, 2]
