"""Transfers after Hockney, collectives after the ring, with a crossover between latency and bandwidth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.link import (
    LinkConstants,
    NetworkConstants,
    collective_time_s,
    network_time_s,
    ring_all_reduce_s,
    steps_of,
    traffic_factor,
    transfer_time_s,
)

PATTERNS = ["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send"]


def plain(pattern: str, size_bytes: float, participants: int, overlap: float = 1.0, **links: float) -> float:
    """A collective on links of 1 GB/s with 1 us a step, nothing lost."""
    known = LinkConstants(bandwidth_bytes_per_s=1e9, **{"step_s": 1e-6, "peer_s": 1e-6, "overlap": overlap} | links)
    return float(collective_time_s(pattern, size_bytes, participants, known))


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


def test_the_messages_of_an_exchange_start_together() -> None:
    """Four ranks: the first of three peers costs a step of 1 us, the others 0.25 us each; no bytes to speak of."""
    assert plain("all_to_all", 1e-6, 4, peer_s=0.25e-6) == pytest.approx(1.5e-6)
    assert plain("all_gather", 1e-6, 4, peer_s=0.25e-6) == pytest.approx(3e-6)


def test_a_rank_copies_its_own_part() -> None:
    """1 GB over four ranks: 0.75 s arrive and a quarter is copied at twice the links' speed; all of it once summed."""
    assert plain("all_gather", 1e9, 4, own=0.5, step_s=0.0) == 0.875
    assert plain("all_to_all", 1e9, 4, own_exchange=0.5, step_s=0.0, peer_s=0.0) == 0.875
    assert plain("all_reduce", 1e9, 4, own=0.5, step_s=0.0) == 2.0
    assert plain("send", 1e9, 2, own=0.5, step_s=0.0) == 1.0


def test_a_switch_that_sums_moves_the_buffer_once() -> None:
    """Eight ranks: the ring's 1.75 GB take 1.75 s, the switch's 1 GB at 80 % 1.25 s and 0.25 s to start."""
    assert plain("all_reduce", 1e9, 8, step_s=0.0) == 1.75
    assert plain("all_reduce", 1e9, 8, step_s=0.0, switch_s=0.25, switch_efficiency=0.8) == 1.5
    assert plain("all_gather", 1e9, 8, step_s=0.0, switch_efficiency=0.8) == 0.875
    assert plain("all_reduce", 1e9, 2, step_s=0.0, switch_s=0.0, switch_efficiency=1.0) == 1.0


def test_a_machine_sends_a_rings_bytes_once_through_its_ports() -> None:
    """Two machines of four: the all-reduce's 1.75 GB leave through two ports of 1 GB/s, an exchange's 4 x 0.5 too."""
    wire = NetworkConstants(bandwidth_bytes_per_s=1e9, ranks_per_port=2, base_s=0.5, step_s=0.125)
    assert network_time_s("all_reduce", 1e9, 8, 4, wire) == 0.5 + 2 * 0.125 + 1.75 / 2
    assert network_time_s("all_to_all", 1e9, 8, 4, wire) == 0.5 + 0.125 + 2.0 / 2
    assert network_time_s("send", 1e9, 2, 1, wire) == 0.5 + 0.125 + 1.0
    assert network_time_s("all_reduce", 1e9, 4, 4, wire) == 0.0
