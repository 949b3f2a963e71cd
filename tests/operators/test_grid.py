"""Grids of quantized tensors: scales by hand, zero points, channels, groups, errors no larger than half a step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import InputError, ShapeError
from hwsim.operators.grid import Grid, decoded


def test_a_symmetric_grid_reaches_the_largest_magnitude_on_both_sides() -> None:
    """Largest magnitude 2.54 = 127 x 0.02."""
    numbers, scale, zero = Grid().encode(np.array([-2.54, 1.0, 0.0]))
    assert numbers.tolist() == [-127, 50, 0]
    assert numbers.dtype == np.int8
    assert scale == pytest.approx(0.02)
    assert zero == 0


def test_an_asymmetric_grid_has_a_zero_point_and_all_256_steps() -> None:
    """-1 to 4.1 in 255 steps of 0.02: -1 is -128, 0 lies 50 steps further."""
    grid = Grid(symmetric=False).fixed([-1.0], [4.1])
    assert grid.zero == (-78,)
    numbers, *rest = grid.encode(np.array([-1.0, 0.0, 4.1, 99.0, -99.0]))
    assert numbers.tolist() == [-128, -78, 127, 127, -128]
    assert decoded(numbers, *rest)[:3] == pytest.approx([-1.0, 0.0, 4.1])


def test_zero_is_on_every_grid_even_when_no_value_is_near_it() -> None:
    for grid in (Grid(), Grid(symmetric=False), Grid(format="uint8", symmetric=False), Grid(format="fp8")):
        assert grid.fixed([3.0], [5.0]).rounded(np.zeros(3)).tolist() == [0, 0, 0]


def test_each_channel_has_a_scale_of_its_own() -> None:
    x = np.array([[1.27, 0.01], [127.0, 1.0]])
    assert Grid(axis=0).encode(x)[0].tolist() == [[127, 1], [127, 1]]
    assert Grid().encode(x)[0].tolist() == [[1, 0], [127, 1]]


def test_int4_weights_round_in_groups_of_elements() -> None:
    """Largest magnitudes 7 and 70: steps of 1 and 10."""
    x = np.array([[7.0, 3.4, 70.0, 34.0]], np.float32)
    assert Grid(format="int4", axis=0, group=2).rounded(x).tolist() == [[7, 3, 70, 30]]
    assert Grid(format="int4", axis=0).rounded(x).tolist() == [[10, 0, 70, 30]]


def test_a_last_group_may_be_short() -> None:
    x = np.array([[7.0, 1.0, 70.0]], np.float32)
    assert Grid(format="int4", axis=0, group=2).rounded(x).tolist() == [[7, 1, 70]]


def test_groups_follow_the_channel_axis() -> None:
    x = np.array([[7.0, 70.0], [3.4, 34.0]], np.float32)
    assert Grid(format="int4", axis=1, group=2).rounded(x).tolist() == [[7, 70], [3, 30]]


def test_fp4_blocks_carry_an_fp8_scale() -> None:
    """One block reaches 6 x 1, the other 6 x 448 x its share: both maxima are on the grid, 5 is not."""
    x = np.array([6.0, 5.0, 6.0 * 448, 4.0 * 448], np.float32)
    y = Grid(format="fp4", group=2).rounded(x)
    assert y.tolist() == [6, 4, 6 * 448, 4 * 448]


def test_a_tensor_of_zeros_stays_zero() -> None:
    for grid in (Grid(), Grid(format="fp4", group=16), Grid(format="int4", axis=0, group=32), Grid(symmetric=False)):
        assert not grid.rounded(np.zeros((2, 5), np.float32)).any()


@given(
    values=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=40),
    symmetric=st.booleans(),
    fmt=st.sampled_from(["int8", "int4", "uint8", "int16"]),
)
def test_no_value_in_range_moves_by_more_than_half_a_step(values: list[float], symmetric: bool, fmt: str) -> None:
    x = np.array(values)
    if fmt == "uint8" and symmetric:
        x = np.abs(x)
    grid = Grid(format=fmt, symmetric=symmetric)
    scale, _ = grid.scales(x)
    assert (np.abs(grid.rounded(x) - x) <= 0.5 * scale * (1 + 1e-9)).all()


@given(values=st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=40), symmetric=st.booleans())
def test_rounding_twice_on_a_fixed_grid_changes_nothing_more_and_keeps_order(
    values: list[float], symmetric: bool
) -> None:
    x = np.sort(np.array(values))
    grid = Grid(symmetric=symmetric).fixed([-50.0], [80.0])
    y = grid.rounded(x)
    assert np.array_equal(grid.rounded(y), y)
    assert (np.diff(y) >= 0).all()


def test_more_bits_lose_less() -> None:
    x = np.random.default_rng(0).standard_normal((16, 256))
    errors = [np.abs(Grid(format=f, axis=0).rounded(x) - x).mean() for f in ("int4", "int8", "int16")]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "int5"}, "a grid has one of the formats"),
        ({"scale": (0.0,)}, "scales are numbers above 0"),
        ({"zero": (1,)}, "as many zero points as scales"),
        ({"scale": (1.0,), "group": 32}, "either scales or a group"),
    ],
)
def test_what_makes_no_grid_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Grid(**fields)


def test_scales_that_do_not_fit_the_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match="3 scales along axis 0"):
        Grid(axis=0, scale=(1.0, 2.0, 3.0)).rounded(np.zeros((2, 2)))
