"""A chip whose clusters hold the layers of a network side by side: by hand, and at the ends."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.cost.dataflow import frame_time_s, layer_macs, units_needed


def test_a_layer_takes_the_clusters_of_its_weights_and_a_least_share() -> None:
    assert units_needed(np.array([0.0, 4e6, 10e6]), 4e6, 0.5).tolist() == [0.5, 1.5, 3.0]


def test_short_sums_leave_cells_idle_and_long_ones_do_not() -> None:
    assert float(layer_macs(10.0, 1e5, 100.0)) == pytest.approx(1e6, rel=1e-9)
    assert float(layer_macs(10.0, 1.0, 100.0)) == pytest.approx(1000.0, rel=1e-6)
    assert float(layer_macs(10.0, 100.0, 100.0)) == pytest.approx(1000.0 * 2**0.25)


def test_a_frame_takes_the_larger_of_work_and_slowest_stage_and_a_little_more_where_both_press() -> None:
    assert float(frame_time_s(5.0, 0.0)) == pytest.approx(5.0)
    assert float(frame_time_s(0.0, 5.0)) == pytest.approx(5.0)
    assert float(frame_time_s(2.0, 2.0)) == pytest.approx(2.0 * 2 ** (1 / 6))
    assert float(frame_time_s(0.0, 0.0)) == 0.0
