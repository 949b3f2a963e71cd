"""Figures by name."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.report import metrics
from hwsim.report.metrics import metric
from hwsim.report.result import Result
from hwsim.specs.scenario import METRICS


def test_scenarios_may_name_just_the_metrics_that_are_computed() -> None:
    assert set(METRICS) == set(metrics._METRICS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latency_s", 2e-3),
        ("time_per_item_s", 2e-3),
        ("energy_j", 12.048e-3),
        ("energy_per_item_j", 12.048e-3),
        ("average_power_w", 6.024),
        ("throughput_per_s", 500.0),
        ("items", 1.0),
        ("peak_memory_bytes", 6e6),
        ("fits", 1.0),
        ("utilization", 1.0),
        ("memory_utilization", 0.03),
        ("busy", 1.0),
    ],
)
def test_figures_of_a_product(product: Result, name: str, value: float) -> None:
    assert metric(product, name) == pytest.approx(value)


def test_figures_of_tokens(decoding: Result) -> None:
    assert metric(decoding, "time_per_token_s") == pytest.approx(1.0 / metric(decoding, "tokens_per_s"))
    assert metric(decoding, "energy_per_token_j") == pytest.approx(decoding.energy_j / 8)
    assert 0.0 < metric(decoding, "time_to_first_token_s") < decoding.latency_s


def test_a_product_has_no_figures_of_tokens(product: Result) -> None:
    with pytest.raises(InputError, match=r"tokens_per_s: matmul makes no tokens"):
        metric(product, "tokens_per_s")


def test_an_unknown_metric_gets_the_nearest(product: Result) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'latency_s'"):
        metric(product, "latancy_s")


def test_figures_of_one_device(phone: Result) -> None:
    assert metric(phone, "energy_j", "cpu") == phone.device_energy_j["cpu"]
    assert metric(phone, "busy", "npu") == phone.utilization["npu"]["busy"]


def test_a_figure_of_the_whole_run_has_no_device(phone: Result) -> None:
    with pytest.raises(InputError, match="latency_s is a figure of the whole run"):
        metric(phone, "latency_s", "npu")


def test_a_device_that_is_not_there(phone: Result) -> None:
    with pytest.raises(UnknownNameError, match="no device of snapdragon_8_gen_3 named 'tpu'"):
        metric(phone, "busy", "tpu")
