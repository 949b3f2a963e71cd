from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.cache import mean_s_per_byte, resident_share


def test_a_small_working_set_is_resident_and_a_large_one_is_not():
    assert resident_share(np.array([0.0, 8.0, 9.0, 10.0, 99.0]), 10.0, 0.8, 1.0).tolist() == [1.0, 1.0, 0.5, 0.0, 0.0]


def test_equal_thresholds_make_a_cliff():
    assert resident_share(np.array([9.0, 11.0]), 10.0, 1.0, 1.0).tolist() == [1.0, 0.0]


def test_a_chip_without_a_cache_holds_nothing():
    assert resident_share(0.0, 0.0) == 0.0


def test_half_the_bytes_at_double_speed_cost_three_quarters():
    assert mean_s_per_byte(0.5, 1.0, 2.0) == 0.75


def test_nothing_resident_costs_the_bandwidth_of_dram():
    assert mean_s_per_byte(0.0, 4.0, 100.0) == 0.25


@given(size=st.floats(0, 1e12), more=st.floats(0, 1e12), cache=st.floats(1e3, 1e9))
def test_a_larger_working_set_is_never_more_resident(size, more, cache):
    assert 0.0 <= resident_share(size + more, cache, 0.5, 1.3) <= resident_share(size, cache, 0.5, 1.3) <= 1.0
