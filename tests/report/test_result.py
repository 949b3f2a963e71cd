"""Time, energy, utilization and memory of runs, worked by hand."""

from __future__ import annotations

import math

import pytest

import hwsim
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec


def test_a_product_takes_its_operations_over_the_peak(product: Result) -> None:
    """2e9 FLOP / 1e12 FLOP/s = 2 ms, more than 6e6 B / 1e11 B/s = 60 us."""
    assert product.makespan_ps == 2_000_000_000
    assert product.latency_s == pytest.approx(2e-3, rel=1e-15)


def test_the_energy_of_a_product_by_cause(product: Result) -> None:
    """2e9 x 1 pJ = 2 mJ; 6e6 B x 8 pJ = 48 uJ; 3 W x 2 ms = 6 mJ; 2 W x 2 ms = 4 mJ."""
    expected = {"compute": 2e-3, "memory": 48e-6, "link": 0.0, "active": 6e-3, "static": 4e-3}
    assert product.energy_breakdown_j == pytest.approx(expected, rel=1e-12)
    assert product.energy_j == pytest.approx(12.048e-3, rel=1e-12)
    assert product.average_power_w == pytest.approx(6.024, rel=1e-12)


def test_a_compute_bound_product_uses_all_arithmetic_and_little_bandwidth(product: Result) -> None:
    """60 us of 2 ms of bandwidth is 3 %."""
    assert product.utilization == {"toy": pytest.approx({"compute": 1.0, "memory": 0.03, "busy": 1.0})}


def test_peak_memory_holds_both_inputs_and_the_output(product: Result) -> None:
    assert product.peak_memory_bytes == 3 * 1000 * 1000 * 2


def test_throughput_counts_items(toy: DeviceSpec) -> None:
    result = hwsim.simulate(hwsim.workload("mlp", batch=8, dtype="fp16"), toy)
    assert result.items == 8
    assert result.throughput_per_s == pytest.approx(8 / result.latency_s)


def test_device_energies_and_links_sum_to_the_total(phone: Result) -> None:
    parts = [*phone.device_energy_j.values(), phone.energy_breakdown_j["link"]]
    assert math.fsum(parts) == pytest.approx(phone.energy_j, rel=1e-9)


def test_energy_parts_sum_to_the_total(decoding: Result) -> None:
    assert math.fsum(decoding.energy_breakdown_j.values()) == decoding.energy_j


def test_ops_lists_what_ran_with_its_dynamic_energy(product: Result) -> None:
    (row,) = product.ops.to_dict("records")
    assert (row["op"], row["device"], row["bound"], row["repeats"]) == ("matmul", "toy", "compute", 1)
    assert row["energy_j"] == pytest.approx(8.048e-3)
    assert (row["start_s"], row["end_s"]) == (0.0, pytest.approx(2e-3))


def test_ops_sum_to_the_dynamic_energy(decoding: Result) -> None:
    listed = decoding.ops
    dynamic = decoding.energy_j - decoding.energy_breakdown_j["static"] - decoding.energy_breakdown_j["link"]
    assert (listed["energy_j"] * listed["repeats"]).sum() == pytest.approx(dynamic, rel=1e-9)


def test_a_language_model_reports_time_to_first_token_and_tokens_a_second(decoding: Result) -> None:
    prefill = sum(r.period_ps * r.repeats for r in decoding.records if r.phase == "prefill") * 1e-12
    decode = decoding.latency_s - prefill
    figures = decoding.metrics
    assert figures["time_to_first_token_s"] == pytest.approx(prefill)
    assert figures["prompt_tokens_per_s"] == pytest.approx(16 / prefill)
    assert figures["tokens_per_s"] == pytest.approx(8 / decode)
    assert figures["j_per_token"] == pytest.approx(decoding.energy_j / 8)


def test_only_chips_that_ran_something_are_named(product: Result, phone: Result) -> None:
    assert product.used_specs == ("toy",)
    assert set(phone.used_specs) <= {"hexagon_v75", "adreno_750", "kryo_8gen3"}


def test_a_trace_has_the_run_in_picoseconds(product: Result) -> None:
    (span,) = list(product.trace)
    assert (span.name, span.start_ps, span.end_ps) == ("matmul", 0, 2_000_000_000)


def test_a_notebook_shows_a_table(product: Result) -> None:
    shown = product._repr_html_()
    assert "<table>" in shown
    assert "2 ms" in shown
