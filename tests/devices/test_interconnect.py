"""All-reduces in one kernel, where every rank reads what all others have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.devices.base import KINDS
from hwsim.devices.interconnect import price_collectives
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Collective, Form
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system

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
