"""Rounding to narrow formats: published limits, every number of the small ones, ties, overflow, another library."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import UnknownNameError
from hwsim.operators.formats import FLOATS, INTEGERS, float_format, integer_format, round_to_float

OTHERS = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp4": ml_dtypes.float4_e2m1fn,
}
each_float = pytest.mark.parametrize("name", sorted(OTHERS))


@pytest.mark.parametrize(
    ("name", "smallest", "largest"),
    [
        ("fp16", 2.0**-24, 65504.0),  # IEEE 754-2019, table 3.5
        ("bf16", 2.0**-133, 3.3895313892515355e38),
        ("fp8", 2.0**-9, 448.0),  # Micikevicius et al. 2022, table 1
        ("fp8_e5m2", 2.0**-16, 57344.0),
        ("fp4", 0.5, 6.0),  # OCP MX 1.0, table 5
    ],
)
def test_formats_reach_from_their_published_smallest_to_their_largest_number(
    name: str, smallest: float, largest: float
) -> None:
    assert (float_format(name).smallest, float_format(name).largest) == (smallest, largest)
    edges = np.array([smallest, largest, smallest / 2, smallest * 0.51])
    assert round_to_float(edges, name).tolist() == [smallest, largest, 0.0, smallest]


def test_fp4_has_eight_magnitudes() -> None:
    found = np.unique(round_to_float(np.linspace(0, 6, 10_000), "fp4"))
    assert found.tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]


def test_ties_go_to_the_even_neighbour() -> None:
    assert round_to_float(np.array([2049.0, 2051.0, -2049.0]), "fp16").tolist() == [2048, 2052, -2048]
    assert round_to_float(np.array([17.0, 19.0]), "fp8").tolist() == [16, 20]
    assert round_to_float(np.array([0.25, 0.75, 2.5, 5.0]), "fp4").tolist() == [0, 1, 2, 4]


def test_narrow_formats_saturate_and_wide_ones_overflow() -> None:
    assert round_to_float(np.array([1e9, -1e9, np.inf]), "fp8").tolist() == [448, -448, 448]
    assert round_to_float(np.array([65519.0, 65520.0, -1e9]), "fp16").tolist() == [65504, np.inf, -np.inf]
    assert round_to_float(np.array([65520.0]), "fp16", saturate=True).tolist() == [65504]
    assert np.isnan(round_to_float(np.array([1e9, np.nan]), "fp8", saturate=False)).all()


def test_integers_are_twos_complement() -> None:
    limits = {name: (fmt.low, fmt.high) for name, fmt in INTEGERS.items()}
    assert limits["int8"] == (-128, 127)
    assert limits["uint4"] == (0, 15)
    assert limits["int2"] == (-2, 1)


def test_an_unknown_format_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'fp8_e5m2'"):
        float_format("fp8_e5m3")
    with pytest.raises(UnknownNameError, match="narrow integer"):
        integer_format("int5")


@each_float
def test_every_number_of_a_small_format_stays_as_it_is(name: str) -> None:
    bits = np.arange(1 << (4 if name == "fp4" else 8), dtype=np.uint8)
    if name in ("fp16", "bf16"):
        bits = np.arange(1 << 16, dtype=np.uint16)
    numbers = bits.view(OTHERS[name]).astype(np.float32)
    finite = numbers[np.isfinite(numbers)]
    assert np.array_equal(round_to_float(finite, name), finite)


@each_float
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_numbers_round_as_another_implementation_rounds_them(name: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    x = (generator.standard_normal(20_000) * 10.0 ** generator.uniform(-9, 5, 20_000)).astype(np.float32)
    with np.errstate(over="ignore"):
        expected = x.astype(OTHERS[name]).astype(np.float32)
    found = round_to_float(x.astype(dtype), name, saturate=name == "fp4")
    assert found.dtype == dtype
    assert np.array_equal(found.astype(np.float32), expected, equal_nan=True)


@given(name=st.sampled_from(sorted(FLOATS)), values=st.lists(st.floats(-1e5, 1e5, width=32), min_size=2))
def test_rounding_is_idempotent_odd_and_monotone(name: str, values: list[float]) -> None:
    x = np.sort(np.array(values, np.float32))
    y = round_to_float(x, name, saturate=True)
    assert np.array_equal(round_to_float(y, name, saturate=True), y)
    assert np.array_equal(round_to_float(-x, name, saturate=True), -y)
    assert (np.diff(y) >= 0).all()


def test_tf32_keeps_ten_bits_of_fraction() -> None:
    assert round_to_float(np.array([1 + 2.0**-10, 1 + 2.0**-12], np.float32), "tf32").tolist() == [1 + 2.0**-10, 1.0]
