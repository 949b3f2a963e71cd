"""Row-wise operators: values against statistics of the standard library, Work by hand."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce
from hwsim.operators.batchnorm import BatchNorm
from hwsim.operators.global_average import GlobalAverage
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.reduce import ReduceAxes
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.softmax import Softmax

RNG = np.random.default_rng(5)


def _standardized(row: list[float], eps: float) -> list[float]:
    mean, variance = statistics.fmean(row), statistics.pvariance(row)
    return [(x - mean) / math.sqrt(variance + eps) for x in row]


@pytest.mark.parametrize(("norm", "vectors"), [(LayerNorm(), 2), (RmsNorm(), 1), (GroupNorm(groups=2), 2)])
def test_scale_and_shift_are_what_every_row_needs(norm: LayerNorm | RmsNorm | GroupNorm, vectors: int) -> None:
    """A vector of eight numbers in fp16 each."""
    x, vector = TensorType((1, 8, 8), "fp16"), TensorType((8,), "fp16", True)
    inputs = [x, *[vector] * vectors]
    (work,) = norm.lower(inputs, norm.infer(inputs))
    assert isinstance(work, Reduce)
    assert work.shared_bytes == 16 * vectors


def test_softmax_of_logarithms_is_their_shares() -> None:
    x = np.log(np.array([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]))
    assert np.allclose(Softmax().reference(x)[0], [[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]])
    assert np.allclose(Softmax(axis=0).reference(x.T)[0].T, [[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]])


def test_softmax_of_large_numbers_does_not_overflow() -> None:
    assert Softmax().reference(np.array([[1e4, 0.0]], np.float32))[0].tolist() == [[1.0, 0.0]]


def test_layernorm_standardizes_each_row() -> None:
    x, gamma, beta = RNG.standard_normal((3, 8)), RNG.standard_normal(8), RNG.standard_normal(8)
    rows = np.array([_standardized(row, 1e-5) for row in x.tolist()])
    assert np.allclose(LayerNorm().reference(x)[0], rows)
    assert np.allclose(LayerNorm().reference(x, gamma, beta)[0], rows * gamma + beta)


def test_layernorm_over_two_axes_standardizes_them_together() -> None:
    x = RNG.standard_normal((2, 3, 4))
    expected = [np.reshape(_standardized(part.ravel().tolist(), 1e-3), (3, 4)) for part in x]
    assert np.allclose(LayerNorm(axes=2, eps=1e-3).reference(x)[0], expected)


def test_rmsnorm_divides_by_the_root_of_the_mean_square() -> None:
    x, gamma = np.array([[3.0, 4.0, 0.0, 0.0]]), np.array([1.0, 2.0, 1.0, 1.0])
    (y,) = RmsNorm(eps=0.0).reference(x, gamma)
    assert np.allclose(y, [[1.2, 3.2, 0, 0]])  # root of 25 / 4 is 2.5


def test_groupnorm_standardizes_each_group_of_channels() -> None:
    x, gamma, beta = RNG.standard_normal((2, 4, 3, 2)), RNG.standard_normal(4), RNG.standard_normal(4)
    expected = np.zeros(x.shape)
    for n in range(2):
        for group in (slice(0, 2), slice(2, 4)):
            expected[n, group] = np.reshape(_standardized(x[n, group].ravel().tolist(), 1e-5), (2, 3, 2))
    expected = expected * gamma[:, None, None] + beta[:, None, None]
    assert np.allclose(GroupNorm(groups=2).reference(x, gamma, beta)[0], expected)


def test_batchnorm_uses_the_stored_statistics() -> None:
    x = np.array([[[5.0, 1.0], [0.0, 2.0]]])
    gamma, beta, mean, var = (np.array(v) for v in ([2.0, 1.0], [0.5, 0.0], [3.0, 2.0], [4.0, 1.0]))
    assert np.allclose(BatchNorm(eps=0.0).reference(x, gamma, beta, mean, var)[0], [[[2.5, -1.5], [-2.0, 0.0]]])


def test_reductions_take_sums_means_and_maxima() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    assert ReduceAxes("sum", (1,)).reference(x)[0].tolist() == [[12, 15, 18, 21], [48, 51, 54, 57]]
    assert ReduceAxes("mean", (-1, 0)).reference(x)[0].tolist() == [7.5, 11.5, 15.5]
    assert ReduceAxes("max", (0, 2), keepdims=True).reference(x)[0].tolist() == [[[15], [19], [23]]]
    assert GlobalAverage().reference(x)[0].tolist() == [[1.5, 5.5, 9.5], [13.5, 17.5, 21.5]]


def test_softmax_reads_its_rows_twice_and_moves_them_once() -> None:
    x = TensorType((2, 4, 100), "fp16")
    (work,) = Softmax().lower([x], [x])
    assert (work.rows, work.cols, work.passes, work.bytes_in, work.bytes_out) == (8, 100, 2, 1600, 1600)
    assert (work.flop_per_element, work.special_per_element) == (4, 1)


def test_a_softmax_over_another_axis_has_its_rows_there() -> None:
    x = TensorType((2, 4, 100), "fp16")
    (work,) = Softmax(axis=1).lower([x], [x])
    assert (work.rows, work.cols) == (200, 4)


def test_gamma_and_beta_cost_an_operation_an_element_each() -> None:
    x, v = TensorType((4, 100), "fp16"), TensorType((100,), "fp32")
    (plain,) = LayerNorm().lower([x], [x])
    (full,) = LayerNorm().lower([x, v, v], [x])
    assert full.flop - plain.flop == 2 * 400
    assert full.bytes_in - plain.bytes_in == 800


def test_groupnorm_has_a_row_per_image_and_group() -> None:
    x = TensorType((2, 64, 8, 8), "fp16")
    (work,) = GroupNorm(groups=32).lower([x], [x])
    assert (work.kernel, work.rows, work.cols) == ("groupnorm", 64, 128)


@pytest.mark.parametrize(
    ("op", "shapes", "message"),
    [
        (Softmax(axis=2), [(3, 4)], "axis 2 of a tensor with 2 axes; choose from -2 to 1"),
        (LayerNorm(), [(3, 4), (3,)], r"gamma must have shape \[4\]"),
        (LayerNorm(axes=3), [(3, 4)], "must have 3 or more axes"),
        (LayerNorm(axes=0), [(3, 4)], "axes must be a whole number of at least 1"),
        (GroupNorm(groups=0), [(1, 4, 2)], "groups must be a whole number of at least 1"),
        (GroupNorm(groups=3), [(1, 4, 2)], "3 groups do not divide the 4 channels"),
        (BatchNorm(), [(1, 4, 2), (4,), (4,), (4,), (3,)], r"var must have shape \[4\]"),
        (ReduceAxes("median"), [(3, 4)], "not 'median'"),
        (ReduceAxes(axes=(0, -2)), [(3, 4)], "twice"),
    ],
)
def test_what_does_not_fit_is_named(op, shapes, message) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer([TensorType(shape) for shape in shapes])
