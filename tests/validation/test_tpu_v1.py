"""TPU v1 against what N. Jouppi et al. published about it (ISCA 2017): two micro examples and six applications.

One number of the stack comes from that paper (LSTM0's stalls, see ``fitted_to``); TOP/s are checked only.
"""

from __future__ import annotations

import pytest

import hwsim
from hwsim.report.estimate import Estimate

pytestmark = pytest.mark.validation

PUBLISHED = {
    "tpu_mlp0": (12.3, 12.7, 53.9),
    "tpu_mlp1": (9.7, 10.6, 44.2),
    "tpu_lstm0": (3.7, 8.2, 58.1),
    "tpu_lstm1": (2.8, 10.5, 62.1),
    "tpu_cnn0": (86.0, 78.2, 0.0),
    "tpu_cnn1": (14.1, 46.2, 28.1),
}
"""Table 3: measured TOP/s, array active and weight stall in per cent of the cycles."""


def _estimate(name: str) -> tuple[Estimate, float]:
    """The application on a TPU v1, and its TOP/s."""
    graph = hwsim.workload(name)
    costs = hwsim.estimate(graph, "tpu_v1")
    return costs, 2e-12 * graph.macs / costs.time_s


def _roofline(name: str) -> float:
    """TOP/s of a plain roofline: the larger of operations over peak and weights over bandwidth."""
    graph = hwsim.workload(name)
    return 2e-12 * graph.macs / max(2 * graph.macs / 92e12, graph.parameters / 34e9)


@pytest.mark.parametrize("name", PUBLISHED)
def test_measured_operations_a_second_are_met_within_20_percent(name: str) -> None:
    assert _estimate(name)[1] == pytest.approx(PUBLISHED[name][0], rel=0.2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_active_and_stalled_cycles_are_met_within_ten_points(name: str) -> None:
    shares = _estimate(name)[0].activity
    _, active, stalled = PUBLISHED[name]
    assert 100 * shares["array active"] == pytest.approx(active, abs=10)
    assert 100 * shares["weight stall"] == pytest.approx(stalled, abs=10)


@pytest.mark.parametrize(("name", "factor"), [("tpu_lstm1", 2.2), ("tpu_cnn1", 6.0)])
def test_a_plain_roofline_misses_fragments_and_shallow_channels(name: str, factor: float) -> None:
    """600 x 600 matrices fill 61 % of nine tiles; 128 channels fill half of the columns."""
    assert _roofline(name) > factor * PUBLISHED[name][0]


def test_a_plain_roofline_is_close_where_tiles_are_full() -> None:
    assert _roofline("tpu_cnn0") == pytest.approx(PUBLISHED["tpu_cnn0"][0], rel=0.1)


@pytest.mark.parametrize(("side", "measured_us"), [(256, 18), (512, 32)])
def test_a_600_by_600_matrix_takes_its_tiles(side: int, measured_us: float) -> None:
    """Nine tiles of 64 KiB take 18 us; on an array of 512 x 512, four of 256 KiB take 32 us (section 7)."""
    chip = hwsim.load_device("tpu_v1").evolve({"systolic_npu.rows": side, "systolic_npu.cols": side})
    product = hwsim.ops.linear(m=64, n=600, k=600, bias=False, dtype="int8")
    assert 1e6 * hwsim.estimate(product, chip).time_s == pytest.approx(measured_us, rel=0.05)


def test_enough_rows_hide_the_weights() -> None:
    """A tile of 64 KiB takes 1,349 cycles to load: from there on the array never waits."""
    few, many = (
        hwsim.estimate(hwsim.ops.linear(m=m, n=2048, k=2048, bias=False, dtype="int8"), "tpu_v1").activity
        for m in (1000, 1400)
    )
    assert few["weight stall"] > 0.05
    assert many["weight stall"] == 0.0
