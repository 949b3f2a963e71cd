"""Pooling and resizing against loops over output elements."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import ShapeError
from hwsim.graph.tensor import TensorType
from hwsim.operators.pad import Pad
from hwsim.operators.pooling import Pool
from hwsim.operators.upsample import Resize

RNG = np.random.default_rng(2)


@given(
    mode=st.sampled_from(["max", "average"]),
    sizes=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    kernel=st.tuples(st.integers(2, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from([(0, 0), (1, 0), (0, 0, 1, 0), (1, 0, 0, 0)]),
    ceil=st.booleans(),
)
def test_pooling_looks_at_the_elements_under_its_window(mode, sizes, kernel, stride, padding, ceil) -> None:
    x = RNG.standard_normal((1, 2, *sizes))
    op = Pool(mode, kernel, stride, padding, ceil)
    (y,) = op.reference(x)
    assert op.infer([TensorType(x.shape)])[0].shape == y.shape
    for n, c, i, j in np.ndindex(y.shape):
        seen = [
            x[n, c, row, column]
            for row in range(i * stride[0] - padding[0], i * stride[0] - padding[0] + kernel[0])
            for column in range(j * stride[1] - padding[1], j * stride[1] - padding[1] + kernel[1])
            if 0 <= row < sizes[0] and 0 <= column < sizes[1]
        ]
        assert y[n, c, i, j] == pytest.approx(max(seen) if mode == "max" else sum(seen) / len(seen))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "ceil", "positions"),
    [
        (112, 3, 2, 1, False, 56),  # ResNet
        (112, 3, 2, 0, True, 56),  # GoogLeNet
        (5, 2, 2, 0, True, 3),
        (5, 2, 2, 0, False, 2),
        (4, 1, 2, 1, True, 3),
        (4, 2, 3, 1, True, 2),
    ],
)
def test_the_number_of_windows_is_that_of_published_networks(size, kernel, stride, padding, ceil, positions) -> None:
    op = Pool("max", (kernel, kernel), (stride, stride), (padding, padding), ceil)
    assert op.infer([TensorType((1, 1, size, size))])[0].shape == (1, 1, positions, positions)


def test_pooling_reduces_a_row_per_output() -> None:
    x = TensorType((1, 64, 112, 112), "fp16")
    op = Pool("max", (3, 3), (2, 2), (1, 1))
    (y,) = op.infer([x])
    (work,) = op.lower([x], [y])
    assert (work.kernel, work.rows, work.cols, work.flop) == ("pooling", 64 * 56 * 56, 9, 9 * 64 * 56 * 56)
    assert (work.bytes_in, work.bytes_out) == (x.size_bytes, y.size_bytes)


@pytest.mark.parametrize(
    ("padding", "counted", "kernel"), [(1, False, "padded_average"), (1, True, "pooling"), (0, False, "pooling")]
)
def test_averages_that_divide_by_fewer_elements_along_the_borders_have_a_label(
    padding: int, counted: bool, kernel: str
) -> None:
    op = Pool(mode="average", kernel=(3, 3), stride=(1, 1), padding=(padding, padding), count_padding=counted)
    x = TensorType((1, 8, 6, 6), "fp16")
    (work,) = op.lower([x], list(op.infer([x])))
    assert work.kernel == kernel


def test_nearest_neighbour_repeats_elements() -> None:
    x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    (y,) = Resize((2, 3)).reference(x)
    assert y[0, 0].tolist() == [[1, 1, 1, 2, 2, 2]] * 2 + [[3, 3, 3, 4, 4, 4]] * 2
    (shrunk,) = Resize(None, (1, 2)).reference(y)
    assert shrunk[0, 0].tolist() == [[1, 2]]


def test_bilinear_interpolates_between_centres() -> None:
    x = np.array([[[[0.0, 4.0]]]])
    (y,) = Resize((1, 2), mode="bilinear").reference(x)
    assert y[0, 0].tolist() == [[0.0, 1.0, 3.0, 4.0]]


def test_bilinear_is_the_weighted_mean_of_four_neighbours() -> None:
    x = RNG.standard_normal((1, 1, 4, 5))
    (y,) = Resize(None, (7, 3), "bilinear").reference(x)
    for i, j in np.ndindex(7, 3):
        row, column = (min(max((p + 0.5) * old / new - 0.5, 0), old - 1) for p, old, new in ((i, 4, 7), (j, 5, 3)))
        total = 0.0
        for r in range(4):
            for c in range(5):
                total += max(0, 1 - abs(row - r)) * max(0, 1 - abs(column - c)) * x[0, 0, r, c]
        assert y[0, 0, i, j] == pytest.approx(total)


def test_resizing_clips_takes_three_factors() -> None:
    op = Resize((1, 2, 2))
    assert op.infer([TensorType((1, 4, 3, 8, 8))])[0].shape == (1, 4, 3, 16, 16)


def test_nearest_moves_and_bilinear_computes() -> None:
    x = TensorType((1, 4, 8, 8), "fp16")
    (move,) = Resize().lower([x], Resize().infer([x]))
    smooth = Resize(mode="bilinear")
    (work,) = smooth.lower([x], smooth.infer([x]))
    assert (move.form, work.form) == ("move", "map")
    assert work.flop == 9 * 4 * 16 * 16  # three interpolations of a difference, a product and a sum


@pytest.mark.parametrize(
    ("op", "shape", "message"),
    [
        (Pool("median"), (1, 1, 4, 4), "mode is 'max' or 'average'"),
        (Pool(kernel=(5, 5)), (1, 1, 4, 4), "does not fit"),
        (Pool(stride=(0, 1)), (1, 1, 4, 4), "stride must be 2 whole numbers of at least 1"),
        (Pool(), (1, 4, 4), "x must have 4 axes"),
        (Resize(), (1, 1, 4), "each of the 1 spatial axes"),
        (Resize(mode="cubic"), (1, 1, 4, 4), "not 'cubic'"),
    ],
)
def test_what_does_not_fit_is_named(op, shape, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        op.infer([TensorType(shape)])


def test_an_average_over_a_padded_corner_divides_by_real_elements() -> None:
    (y,) = Pool("average", (2, 2), (1, 1), (1, 1)).reference(np.full((1, 1, 2, 2), 3.0))
    assert math.isclose(y.min(), 3.0)
    assert math.isclose(y.max(), 3.0)


def test_bilinear_places_say_which_points_coincide() -> None:
    x = np.array([[[[0.0, 3.0]]]])
    corners = Resize(None, (1, 4), "bilinear", "corners").reference(x)[0]
    starts = Resize(None, (1, 4), "bilinear", "starts").reference(x)[0]
    assert corners[0, 0].tolist() == [[0.0, 1.0, 2.0, 3.0]]
    assert starts[0, 0].tolist() == [[0.0, 1.5, 3.0, 3.0]]


def test_a_border_repeats_mirrors_or_wraps() -> None:
    x = np.array([1.0, 2.0, 3.0])
    found = {mode: Pad(((2, 1),), mode=mode).reference(x)[0].tolist() for mode in ("edge", "reflect", "wrap")}
    assert found == {
        "edge": [1, 1, 1, 2, 3, 3],
        "reflect": [3, 2, 1, 2, 3, 2],
        "wrap": [2, 3, 1, 2, 3, 1],
    }
    with pytest.raises(ShapeError, match="mirrors more than"):
        Pad(((3, 0),), mode="reflect").infer([TensorType((3,))])
