"""Who held what over time."""

from __future__ import annotations

import numpy as np
import pytest

from hwsim.report.occupied import TRANSFER, kinds_by_time, lanes, occupied, phases, typical
from hwsim.report.result import Result


def test_one_operator_holds_its_lane_all_the_time(product: Result) -> None:
    (lane,) = lanes(product)
    held = occupied(product.records, lane, np.linspace(0.0, product.latency_s, 5))
    assert held.keys() == {"matmul"}
    assert held["matmul"] == pytest.approx([1.0] * 4)


def test_half_a_bin_is_half_full(product: Result) -> None:
    """2 ms of work in bins of 4/3 ms: one and a half of three bins."""
    (lane,) = lanes(product)
    held = occupied(product.records, lane, np.linspace(0.0, 2.0 * product.latency_s, 4))
    assert held["matmul"] == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize("bins", [1, 7, 400])
def test_shares_sum_to_the_busy_time_however_many_repeats(decoding: Result, bins: int) -> None:
    (lane,) = lanes(decoding)
    edges = np.linspace(0.0, decoding.latency_s, bins + 1)
    held = occupied(decoding.records, lane, edges)
    busy = sum(float(share.sum()) for share in held.values()) * decoding.latency_s / bins
    assert busy == pytest.approx(decoding.utilization["toy"]["busy"] * decoding.latency_s, rel=1e-6)


def test_phases_follow_each_other(decoding: Result) -> None:
    first, second = phases(decoding)
    assert (first.name, first.repeats, second.name, second.repeats) == ("prefill", 1, "decode", 8)
    assert first.end_s == pytest.approx(second.start_s)
    assert second.end_s == pytest.approx(decoding.latency_s)
    assert typical(decoding).phase in {"prefill", "decode"}


def test_devices_come_before_links_and_idle_ones_are_left_out(product: Result, phone: Result) -> None:
    assert [lane.label for lane in lanes(product)] == ["toy"]
    found = lanes(phone)
    assert [lane.is_link for lane in found] == sorted(lane.is_link for lane in found)
    for lane in found:
        if lane.is_link:
            assert occupied(phone.records, lane, np.array([0.0, phone.latency_s])).keys() == {TRANSFER}


def test_kinds_are_ordered_by_time(decoding: Result) -> None:
    assert (
        kinds_by_time([decoding])[0]
        == max(
            decoding.bottlenecks(most=1000),
            key=lambda b: sum(o.time_s for o in decoding.bottlenecks(1000) if o.kind == b.kind),
        ).kind
    )
