"""Vector units: lanes, channels, operations and passes."""

from __future__ import annotations

from hwsim.cost import vector_unit


def test_one_element_beyond_the_lanes_halves_their_fill() -> None:
    assert [float(vector_unit.lane_fill(width, 16)) for width in (16, 17)] == [1.0, 17 / 32]


def test_three_colours_fill_three_of_thirty_two_inputs() -> None:
    assert float(vector_unit.channel_fill(3, 32)) == 3 / 32


def test_a_depthwise_filter_fills_one_channel_of_the_tile() -> None:
    assert float(vector_unit.channel_fill(1, 64)) == 1 / 64


def test_special_functions_run_at_their_own_rate() -> None:
    """100 plain at 50 a second and 10 special at 5: 2 s + 2 s."""
    assert float(vector_unit.operations_time_s(100, 10, 50, 5)) == 4.0


def test_rows_that_stay_on_chip_are_read_once() -> None:
    assert float(vector_unit.passes_over_memory(3, 1000, 8, 8000)) == 1.0


def test_rows_too_long_are_read_once_a_pass() -> None:
    assert float(vector_unit.passes_over_memory(3, 1000, 8, 7999)) == 3.0


def test_a_short_longest_axis_leaves_columns_of_a_register_empty() -> None:
    """2 x 4 x 6 elements in registers of 4 x 8: 8 rows of 6 fill 8 x 8 places; of 3 x 6, 4 x 8."""
    assert float(vector_unit.register_fill(48, 6, 4, 8)) == 48 / 64
    assert float(vector_unit.register_fill(18, 6, 4, 8)) == 18 / 32


def test_one_axis_is_packed_into_registers() -> None:
    assert [float(vector_unit.register_fill(n, n, 4, 8)) for n in (1, 33)] == [1.0, 1.0]
