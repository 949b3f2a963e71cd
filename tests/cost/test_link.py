"""Transfers after Hockney, collectives after the ring, with a crossover between latency and bandwidth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.link import collective_time_s, ring_all_reduce_s, steps_of, traffic_factor, transfer_time_s

PATTERNS = ["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send"]


def plain(pattern: str, size_bytes: float, participants: int, overlap: float = 1.0) -> float:
    """A collective on links of 1 GB/s with 1 us a step, nothing lost."""
    return collective_time_s(
        pattern,
        size_bytes,
        participants,
        bandwidth_bytes_per_s=1e9,
        base_s=0.0,
        step_s=1e-6,
        efficiency=1.0,
        overlap=overlap,
    )


def test_a_transfer_is_latency_and_bytes_over_bandwidth() -> None:
    assert transfer_time_s(2e9, 0.5, 1e9) == 2.5


def test_no_bytes_cost_the_latency() -> None:
    assert transfer_time_s(0.0, 0.5, 1e9) == 0.5


@pytest.mark.parametrize(
    ("pattern", "steps", "factor"),
    [
        ("all_reduce", 6, 1.5),
        ("all_gather", 3, 0.75),
        ("reduce_scatter", 3, 0.75),
        ("all_to_all", 3, 0.75),
        ("send", 1, 1.0),
    ],
)
def test_steps_and_traffic_of_four_ranks(pattern: str, steps: int, factor: float) -> None:
    assert (steps_of(pattern, 4), traffic_factor(pattern, 4)) == (steps, factor)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_one_rank_has_nobody_to_talk_to(pattern: str) -> None:
    assert (steps_of(pattern, 1), traffic_factor(pattern, 1), plain(pattern, 1e9, 1)) == (0, 0.0, 0.0)


def test_nothing_to_send_costs_nothing() -> None:
    assert plain("all_reduce", 0.0, 8) == 0.0


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_a_ring_adds_its_steps_and_its_bytes(ranks: int) -> None:
    """With overlap 1 the formula is the textbook ring: 2(p-1) steps of n/p bytes."""
    assert plain("all_reduce", 1e9, ranks) == pytest.approx(ring_all_reduce_s(1e9, ranks, 1e-6, 1e9))


def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather() -> None:
    halves = plain("reduce_scatter", 1e8, 4) + plain("all_gather", 1e8, 4)
    assert plain("all_reduce", 1e8, 4) == pytest.approx(halves)


def test_a_sharp_crossover_takes_the_longer_of_latency_and_bandwidth() -> None:
    assert plain("send", 1e9, 2, overlap=1e3) == pytest.approx(1.0)


def test_the_textbook_ring_of_one_is_free() -> None:
    assert ring_all_reduce_s(1e9, 1, 1e-6, 1e9) == 0.0


@given(st.sampled_from(PATTERNS), st.floats(1.0, 1e10), st.integers(2, 64), st.floats(0.3, 5.0))
def test_a_slower_crossover_lies_between_the_larger_and_a_multiple(
    pattern: str, size_bytes: float, ranks: int, overlap: float
) -> None:
    """(a^p + b^p)^(1/p) is at least max(a, b) and at most 2^(1/p) times it."""
    sharp, found = plain(pattern, size_bytes, ranks, 1e3), plain(pattern, size_bytes, ranks, overlap)
    assert sharp * (1 - 1e-2) <= found <= sharp * 2.0 ** (1.0 / overlap) * (1 + 1e-9)


@given(st.sampled_from(PATTERNS), st.floats(1.0, 1e9), st.integers(2, 64))
def test_more_bytes_never_take_less_time(pattern: str, size_bytes: float, ranks: int) -> None:
    assert plain(pattern, 2.0 * size_bytes, ranks, 0.6) >= plain(pattern, size_bytes, ranks, 0.6)
