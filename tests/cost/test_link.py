"""Transfers after Hockney, collectives after the ring, with a crossover between latency and bandwidth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cost.link import (
    EagerConstants,
    ExchangeConstants,
    LineConstants,
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


def plain(pattern: str, size_bytes: float, participants: int, overlap: float = 1.0, **links: object) -> float:
    """A collective on links of 1 GB/s with 1 us a step, nothing lost."""
    known = LinkConstants(bandwidth_bytes_per_s=1e9, **{"step_s": 1e-6, "overlap": overlap} | links)  # type: ignore[arg-type]
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
    """Four ranks: the first of three peers costs 1 us, the others 0.25 us each; no bytes to speak of."""
    exchange = ExchangeConstants(base_s=1e-6, peer_s=0.25e-6)
    assert plain("all_to_all", 1e-6, 4, exchange=exchange) == pytest.approx(1.5e-6)
    assert plain("all_gather", 1e-6, 4, exchange=exchange) == pytest.approx(3e-6)
    assert plain("send", 1e-6, 4, exchange=exchange) == pytest.approx(1e-6)


def test_a_message_to_one_of_eight_gets_four_channels_until_it_is_long() -> None:
    """4 channels of 1 MB/s for 1 MB; 8 for 128 MiB, of which 32 MiB would fall to each of 4; 16 of 2; at most 32."""
    exchange = ExchangeConstants(base_s=0.0, channel_bytes_per_s=1e6)
    assert plain("send", 1e6, 8, exchange=exchange) == pytest.approx(0.25)
    assert plain("send", 128 * 2**20, 8, exchange=exchange) == pytest.approx(128 * 1.048576 / 8)
    assert plain("send", 1e6, 2, exchange=exchange) == pytest.approx(1 / 16)
    assert plain("send", 1e12, 8, exchange=exchange) == pytest.approx(1e12 / 32e6)
    assert plain("all_to_all", 1e6, 8, exchange=exchange) < 0.01
    assert plain("send", 1e6, 8, exchange=replace(exchange, channel_bytes_per_s=1e12)) == pytest.approx(1e-3, rel=0.01)


@pytest.mark.parametrize(("a_peer", "expected_us"), [(8192, 1.0), (65536, 3.0), (23170.475, 2.0)])
def test_messages_between_pairs_cost_more_where_eager_ones_end(a_peer: float, expected_us: float) -> None:
    """From 8 to 64 KiB a peer the start-up grows by the jump of 2 us, in the logarithm: half of it at 22.6 KiB."""
    links = LinkConstants(
        bandwidth_bytes_per_s=math.inf, exchange=ExchangeConstants(base_s=1e-6, jump_s=2e-6, overlap=1.0)
    )
    assert float(collective_time_s("all_to_all", 4 * a_peer, 4, links)) == pytest.approx(expected_us * 1e-6)
    assert float(collective_time_s("send", a_peer, 4, links)) == pytest.approx(expected_us * 1e-6)


def test_a_rank_copies_its_own_part() -> None:
    """1 GB over four ranks: 0.75 s arrive (1.5 s of an all-reduce), a quarter is copied at twice the links' speed."""
    assert plain("all_gather", 1e9, 4, own=0.5, step_s=0.0) == 0.875
    assert plain("all_reduce", 1e9, 4, own=0.5, step_s=0.0) == 1.625
    assert plain("send", 1e9, 2, own=0.5, step_s=0.0) == 1.0
    exchange = ExchangeConstants(base_s=0.0, own=0.5)
    assert plain("all_to_all", 1e9, 4, own=0.25, exchange=exchange) == 0.875


EAGER = EagerConstants(
    base_s=2e-6,
    step_s=1e-6,
    efficiency=0.5,
    planned_eager_bytes_per_s=1e9,
    planned_bulk_bytes_per_s=2e9,
)


@pytest.mark.parametrize(
    ("pattern", "ranks", "switch"),
    [("all_gather", 2, 18_400), ("all_gather", 4, 27_200), ("all_reduce", 4, 24_800)],
)
def test_nccl_goes_over_to_bulk_where_its_own_model_of_both_ways_says(pattern: str, ranks: int, switch: int) -> None:
    """6.6 + 0.6 s + b s/p against 8.4 + 3.4 s + b s/2p us (b in kB): they cross at b = (1.8 + 2.8 s) 2 p / s kB.

    Two ranks pass one step, four three and six; the measured times have no say.
    """
    links = LinkConstants(bandwidth_bytes_per_s=1e9, base_s=1.0, eager=EAGER)
    below, above = (float(collective_time_s(pattern, switch + d, ranks, links)) for d in (-2, 2))
    assert below < 1e-3
    assert above > 1.0


@pytest.mark.parametrize(("size", "way_s"), [(2e6, 0.01), (3e6, 2.0), (15e6, 2.0), (16e6, 3.0)])
def test_lines_run_between_eager_and_bulk_messages_among_eight(size: float, way_s: float) -> None:
    """Planned are 10.8, 27.3 and 32.2 us and bytes at 87.7, 220.8 and 240 GB/s: lines from 2.74 to 15.5 MB (A100)."""
    known = {"planned_eager_bytes_per_s": 87.7e9, "planned_bulk_bytes_per_s": 240e9, "efficiency": 1.0}
    links = LinkConstants(
        bandwidth_bytes_per_s=math.inf,
        base_s=3.0,
        eager=EagerConstants(base_s=0.01, step_s=0.0, **known),
        lines=LineConstants(base_s=2.0, step_s=0.0, efficiency=1.0),
    )
    assert float(collective_time_s("all_gather", size, 8, links)) == pytest.approx(way_s)
    assert float(collective_time_s("all_gather", 15e6, 8, replace(links, lines=None))) == 3.0


def test_an_eager_ring_starts_dearer_when_all_channels_take_part() -> None:
    """Three steps of 1 us on 2 us; from 1 to 16 KiB a rank they grow by half: 4 KiB is half of the way."""
    links = LinkConstants(bandwidth_bytes_per_s=math.inf, eager=replace(EAGER, widen=0.5, planned_bulk_bytes_per_s=1.0))
    times = [float(collective_time_s("all_gather", 4 * 1024 * kib, 4, links)) for kib in (1, 4, 16, 64)]
    assert times == pytest.approx([5e-6, 6.25e-6, 7.5e-6, 7.5e-6])


def test_an_eager_word_carries_a_flag_beside_it() -> None:
    """Half the bandwidth: 0.75 of 1 GB take 1.5 s, and the copy of the own quarter 0.25 s."""
    eager = replace(EAGER, base_s=0.0, step_s=0.0, own=1.0, planned_bulk_bytes_per_s=1.0)
    links = LinkConstants(bandwidth_bytes_per_s=1e9, eager=eager)
    assert float(collective_time_s("all_gather", 1e9, 4, links)) == pytest.approx(1.75)


def test_more_than_two_ranks_wait_for_the_last() -> None:
    """A meeting of 1 s covers a ring of 6 us; two ranks, of whom either may be the last, are not made to wait."""
    assert plain("all_reduce", 1.0, 4, meeting_s=1.0) == pytest.approx(1.0)
    assert plain("all_reduce", 1.0, 2, meeting_s=1.0) == pytest.approx(2e-6, rel=1e-2)
    assert plain("all_gather", 1.0, 4, meeting_s=1.0) == pytest.approx(3e-6, rel=1e-2)


def test_two_ranks_wait_for_each_other_from_some_size_on() -> None:
    """2 us below 1,000 bytes, 1 s from there on; four ranks have a wait of their own."""
    assert plain("all_reduce", 999.0, 2, pair_s=1.0, pair_bytes=1000.0) == pytest.approx(3e-6, rel=1e-2)
    assert plain("all_reduce", 1000.0, 2, pair_s=1.0, pair_bytes=1000.0) == pytest.approx(1.0)
    assert plain("all_reduce", 1000.0, 4, pair_s=1.0) == pytest.approx(7.5e-6, rel=1e-2)


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


def test_sums_and_long_messages_may_use_the_network_less_well() -> None:
    """1 GB/s a port: an all-reduce of two ranks at half, what exceeds 4 MiB at a quarter of it."""
    wire = NetworkConstants(bandwidth_bytes_per_s=1e9, base_s=1.0, sum_s=2.0, sum_efficiency=0.5)
    assert network_time_s("all_reduce", 1e6, 2, 1, wire) == 2.002
    assert network_time_s("send", 1e6, 2, 1, wire) == 1.001
    long = replace(wire, long_efficiency=0.25)
    assert network_time_s("send", 4 * 2**20 + 1e6, 2, 1, long) == pytest.approx(1.0 + 4 * 2**20 / 1e9 + 0.004)
    assert network_time_s("send", 4 * 2**20, 2, 1, long) == network_time_s("send", 4 * 2**20, 2, 1, wire)
