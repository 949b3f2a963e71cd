"""Which operators cost most."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec


def test_the_only_operator_has_all_the_time(product: Result) -> None:
    (found,) = product.bottlenecks()
    assert (found.kind, found.phase, found.bound, found.runs) == ("matmul", "main", "compute", 1)
    assert (found.time_s, found.share, found.utilization) == pytest.approx((2e-3, 1.0, 1.0))


def test_the_longest_come_first_and_shares_sum_to_one(decoding: Result) -> None:
    found = decoding.bottlenecks(most=1000)
    times = [b.time_s for b in found]
    assert times == sorted(times, reverse=True)
    assert sum(b.share for b in found) == pytest.approx(1.0)
    assert sum(times) == pytest.approx(decoding.latency_s, rel=1e-6)


def test_repeats_are_counted(decoding: Result) -> None:
    """Two layers, one attention each, once in prefill and eight times in decode."""
    runs = {(b.kind, b.phase): b.runs for b in decoding.bottlenecks(most=1000)}
    assert runs["attention", "prefill"] == 2
    assert runs["attention", "decode"] == 16


def test_only_the_first_are_listed(decoding: Result) -> None:
    assert decoding.bottlenecks(most=2) == decoding.bottlenecks(most=1000)[:2]


def test_a_move_of_bytes_is_memory_bound(toy: DeviceSpec) -> None:
    """An addition of a million numbers: 6 MB take 60 us, a million FLOP 1 us."""
    result = hwsim.simulate(hwsim.ops.add(elements=1_000_000, dtype="fp16"), toy)
    (found,) = result.bottlenecks()
    assert found.bound == "memory"
    assert found.time_s == pytest.approx(60e-6)
