"""Collectives by stacks that sum in one kernel, and by links that carry what measurements add to the formula."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.devices.base import KINDS
from hwsim.devices.interconnect import exchange_factor, price_collectives
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Collective, Form
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.specs.software import ResidualSpec
from hwsim.specs.system import InterconnectSpec, NetworkSpec

CHIP = load_device("h100_sxm")
LINKS = load_system("h100_x8").interconnect


def _time_s(size: int, one_shot_s: float, pattern: str = "all_reduce") -> float:
    assert LINKS is not None
    work = Collective(kernel=pattern, pattern=pattern, bytes=size, participants=8, format="bf16")
    families = {"collective": {"one_shot": one_shot_s}} if one_shot_s else {}
    stack = replace(CHIP.stack("cuda_graph"), kernels=families)
    table = tables_of([work])[Form.COLLECTIVE]
    return float(price_collectives(table, LINKS, 8, KINDS[CHIP.kind].params(CHIP, stack)).time_s[0, 0])


def test_a_short_vector_is_summed_by_one_kernel() -> None:
    """5 us and 7 x 64 KiB at the share of 450 GB/s that the links reach."""
    assert LINKS is not None
    seconds = 5e-6 + 7 * 65_536 / (LINKS.bandwidth_bytes_per_s * LINKS.efficiency)
    assert _time_s(65_536, 5e-6) == pytest.approx(seconds)
    assert _time_s(65_536, 0.0) > seconds


def test_a_long_vector_goes_around_the_ring_and_other_patterns_are_left_alone() -> None:
    assert _time_s(2**30, 5e-6) == _time_s(2**30, 0.0)
    assert _time_s(65_536, 5e-6, "all_gather") == _time_s(65_536, 0.0, "all_gather")


def test_an_exchange_draws_a_share_of_the_active_power() -> None:
    """Half the active power where the stack says so, for the same time."""
    table = tables_of(
        [Collective(kernel="all_gather", pattern="all_gather", bytes=2**20, participants=4, format="bf16")]
    )
    stacks = [replace(CHIP.default_software, kernels={"collective": {"active": share}}) for share in (1.0, 0.5)]
    assert LINKS is not None
    full, half = (
        price_collectives(table[Form.COLLECTIVE], LINKS, 8, KINDS[CHIP.kind].params(CHIP, stack)) for stack in stacks
    )
    assert half.time_s == full.time_s
    assert half.active_j == 0.5 * full.active_j


PLAIN = InterconnectSpec(bandwidth_bytes_per_s=1e9, base_s=0.0, step_s=0.0, efficiency=1.0, overlap=1.0)
LONGER = ResidualSpec(
    of=("all_gather",),
    over=("bytes", "participants"),
    low=(1e6, 2.0),
    high=(4e6, 4.0),
    knots=(2, 2),
    weights=(0.5,) * 4,
)


def _gathered(links: InterconnectSpec, size: int, ranks: int, pattern: str = "all_gather") -> tuple[float, float]:
    """Seconds, and what a residual made of them."""
    work = Collective(kernel=pattern, pattern=pattern, bytes=size, participants=ranks, format="bf16")
    table = tables_of([work])[Form.COLLECTIVE]
    return float(price_collectives(table, links, ranks).time_s[0, 0]), float(exchange_factor(table, links, ranks)[0, 0])


def test_a_residual_of_the_links_stretches_its_pattern_where_it_was_measured() -> None:
    """e^0.5 on 2 MB among two ranks, whose formula says 1 ms; the formula alone far from the knots and elsewhere."""
    links = replace(PLAIN, residuals=(LONGER,))
    assert _gathered(links, 2_000_000, 2) == pytest.approx((1e-3 * 1.6487212707, 1.6487212707))
    assert _gathered(links, 2_000_000, 16) == _gathered(PLAIN, 2_000_000, 16)
    assert _gathered(links, 1_000, 2) == _gathered(PLAIN, 1_000, 2)
    assert _gathered(links, 2_000_000, 2, "reduce_scatter") == (1e-3, 1.0)


def test_the_network_has_a_residual_of_its_own() -> None:
    """Two machines of one rank each: 2 MB leave in 2 ms at 0.5 GB/s, stretched; inside a machine nothing is."""
    network = NetworkSpec(bandwidth_bytes_per_s=5e8, base_s=0.0, efficiency=1.0, residuals=(LONGER,))
    links = replace(PLAIN, node=1, network=network)
    assert _gathered(links, 2_000_000, 2) == pytest.approx((2e-3 * 1.6487212707, 1.6487212707))
    assert _gathered(replace(links, node=2), 2_000_000, 2) == (1e-3, 1.0)


@pytest.mark.parametrize(
    ("system", "measured"), [("h200_x8", "h100_x8"), ("gb200_x8", "b200_x8"), ("b300_x8", "b200_x8")]
)
def test_links_that_were_not_measured_send_as_those_whose_constants_they_have(system: str, measured: str) -> None:
    own, given = (load_system(name).interconnect for name in (system, measured))
    assert own is not None
    assert given is not None
    assert own.exchange == given.exchange
