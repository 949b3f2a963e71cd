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


def test_weights_that_nobody_filled_draw_less_and_caches_are_filled() -> None:
    spec = load_device("b200_sxm")
    stack = spec.default_software
    rows = [*lower(hwsim.ops.matmul(m=8, n=51200, k=16384, dtype="bf16")).works]
    rows += lower(hwsim.ops.matmul(m=51200, n=8, k=16384, dtype="bf16")).works
    rows += lower(
        hwsim.ops.attention(batch=64, heads=8, kv_heads=8, seq_q=1, seq_kv=32768, head_dim=128, dtype="bf16")
    ).works
    filled_s, filled_j = sustained(spec, stack, rows)
    calm_s, calm_j = sustained(spec, stack, rows, [True] * len(rows))
    assert calm_s == pytest.approx(filled_s)
    weights_j = 51200 * 16384 * 2 * spec.main_memory.energy_j_per_byte
    assert filled_j[0] - calm_j[0] == pytest.approx(0.75 * weights_j, rel=1e-6)
    assert calm_j[1] == pytest.approx(filled_j[1], rel=1e-3)
    assert calm_j[2] == filled_j[2]
    assert sustained(spec, stack, rows, [False] * len(rows))[1] == pytest.approx(filled_j)
