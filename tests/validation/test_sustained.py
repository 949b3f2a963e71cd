"""Kernels at the power cap."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.cost.power import average_power_w
from hwsim.devices.base import KINDS, price
from hwsim.graph.lowering import lower
from hwsim.loading.device import load_device
from hwsim.validation.sustained import sustained


def works(m: int) -> list:
    return list(lower(hwsim.ops.matmul(m=m, n=m, k=m, dtype="bf16")).works)


def test_a_product_that_would_draw_more_than_the_cap_runs_slower_and_draws_just_that() -> None:
    spec = load_device("b200_sxm")
    stack, kind = spec.default_software, KINDS[spec.kind]
    (time,), (energy,) = sustained(spec, stack, works(16384))
    burst = price(kind, works(16384), kind.params(spec, stack)).time_s[0, 0]
    assert 1.02 < time / burst < 1.4
    assert average_power_w(energy, time, spec.power.idle_w) == pytest.approx(spec.power.tdp_w)


def test_a_product_below_the_cap_keeps_its_clock() -> None:
    spec = load_device("b200_sxm")
    stack, kind = spec.default_software, KINDS[spec.kind]
    (time,), _ = sustained(spec, stack, works(64))
    assert time == price(kind, works(64), kind.params(spec, stack)).time_s[0, 0]
