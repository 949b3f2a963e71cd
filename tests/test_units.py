"""Quantities: what is read, what is refused, and what the refusal says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import UnitError
from hwsim.units import DIMENSIONS, base_unit, format_quantity, parse_quantity, shown


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("3.35 TB/s", "bytes/s", 3.35e12),
        ("80 GB", "bytes", 80e9),
        ("80 GiB", "bytes", 80 * 2**30),
        ("1 B", "bytes", 1.0),
        ("400 Gb/s", "bits/s", 400e9),
        ("1.98 GHz", "Hz", 1.98e9),
        ("20 us", "s", 2e-5),
        ("5 \u00b5s", "s", 5e-6),
        ("2.8us", "s", 2.8e-6),
        ("700 W", "W", 700.0),
        ("1e-3 W", "W", 1e-3),
        ("0.6 pJ", "J", 6e-13),
        ("4 pJ/bit", "J/byte", 3.2e-11),
        ("4 pJ/B", "J/byte", 4e-12),
        ("0.9 V", "V", 0.9),
        ("989 TFLOP/s", "op/s", 989e12),
        ("34 TOPS", "op/s", 34e12),
        ("60 Gelem/s", "elements/s", 60e9),
        ("814 mm2", "m2", 814e-6),
        ("85 degC", "degC", 85.0),
    ],
)
def test_a_quantity_is_read_in_base_units(text: str, dimension: str, value: float) -> None:
    assert parse_quantity(text, dimension) == value


@pytest.mark.parametrize(
    ("text", "dimension"),
    [
        ("900 Gb/s", "bytes/s"),
        ("900 GB", "bytes/s"),
        ("3 TB/s", "bits/s"),
        ("5 GiW", "W"),
        ("5 kkB", "bytes"),
        ("5", "s"),
        ("", "s"),
        ("us", "s"),
        ("nan s", "s"),
        ("inf s", "s"),
        ("1e999 s", "s"),
        ("1,5 GB", "bytes"),
        ("0x10 B", "bytes"),
        ("5 s s", "s"),
        ("5 km2", "m2"),
        ("5 kC", "degC"),
    ],
)
def test_another_unit_or_none_is_refused(text: str, dimension: str) -> None:
    with pytest.raises(UnitError, match="write a number and the unit"):
        parse_quantity(text, dimension)


@pytest.mark.parametrize("value", [5, 5.0, True, None, ["5 s"], {"s": 5}])
def test_what_is_not_a_text_is_refused(value: object) -> None:
    with pytest.raises(UnitError, match="write a number and the unit 's'"):
        parse_quantity(value, "s")


def test_bits_where_bytes_are_wanted_get_this_message() -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity("900 Gb/s", "bytes/s")
    assert str(caught.value) == "write a number and the unit 'B/s', e.g. '3 TB/s', not '900 Gb/s'"


def test_a_number_without_a_unit_is_told_so() -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity(80, "bytes")
    assert str(caught.value) == "write a number and the unit 'B', e.g. '80 GiB', not 80 (the unit is missing)"


def test_negative_quantities_are_refused() -> None:
    with pytest.raises(UnitError, match=r"write a value at least 0, not '-5 W'"):
        parse_quantity("-5 W", "W")


def test_zero_is_refused_only_where_the_minimum_is_exclusive() -> None:
    assert parse_quantity("0 s", "s") == 0.0
    with pytest.raises(UnitError, match="greater than 0"):
        parse_quantity("0 s", "s", exclusive=True)


def test_a_text_of_megabytes_is_not_repeated_in_the_message() -> None:
    with pytest.raises(UnitError) as caught:
        parse_quantity("9" * 5_000_000, "s")
    assert len(str(caught.value)) < 200


@given(st.floats(min_value=1e-9, max_value=1e15), st.sampled_from(sorted(DIMENSIONS)))
def test_what_is_written_in_the_base_unit_is_read_back_exactly(value: float, dimension: str) -> None:
    assert parse_quantity(f"{value!r} {base_unit(dimension)}", dimension) == value


@given(st.floats(min_value=1e-15, max_value=1e15))
def test_what_is_shown_is_read_back_within_its_digits(value: float) -> None:
    assert parse_quantity(format_quantity(value, "s", digits=6), "s") == pytest.approx(value, rel=1e-5)


def test_zero_and_infinity_are_shown_without_a_prefix() -> None:
    assert format_quantity(0.0, "J") == "0 J"
    assert format_quantity(float("inf"), "J") == "inf J"


@pytest.mark.parametrize(
    ("value", "text"), [("a", "'a'"), (5, "5"), (False, "false"), (None, "nothing"), ([1], "a list"), ({}, "a mapping")]
)
def test_a_value_is_shown_as_a_person_would_call_it(value: object, text: str) -> None:
    assert shown(value) == text
