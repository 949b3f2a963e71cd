"""Phases run one after another: repeats, growth, the host's pace, power and its cap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwsim
from hwsim.flow import simulate
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.operators.add import Add
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.specs.system import SystemSpec, single

MakeSystem = Callable[..., SystemSpec]
MakeChip = Callable[..., Any]
MEGABYTE = 500_000
US = 1_000_000


def chain(operators: int, repeat: int = 1) -> Graph:
    """Sums of two tensors of 1 MB, one after another; each takes a toy chip 3 us."""
    b = GraphBuilder("chain")
    b.phase("main", repeat=repeat)
    x = b.input("x", (MEGABYTE,))
    y = x
    for _ in range(operators):
        y = b.add(Add(), y, x)
    return b.build([y], dtype="fp16")


def test_equal_repeats_are_replayed_once(chip: MakeChip) -> None:
    result = simulate(chain(4, repeat=50), single(chip()))
    (record,) = result.records
    assert (record.repeats, record.period_ps) == (50, 12 * US)
    assert result.makespan_ps == 600 * US


def test_phases_follow_each_other_without_a_gap(chip: MakeChip) -> None:
    b = GraphBuilder("two")
    b.phase("one", repeat=3)
    x = b.add(Relu(), b.input("x", (MEGABYTE,)))
    b.phase("two", repeat=2)
    result = simulate(b.build([b.add(Relu(), x)], dtype="fp16"), single(chip()))
    assert [record.offset_ps for record in result.records] == [0, 6 * US]
    assert result.makespan_ps == 10 * US


@pytest.mark.parametrize(
    ("device", "software"), [("h100_sxm", None), ("h100_sxm", "eager"), ("hexagon_v75", None), ("xeon_8480", None)]
)
def test_a_generation_is_its_prefill_and_each_of_its_steps(device: str, software: str | None) -> None:
    whole = hwsim.simulate(hwsim.workload("gpt2", phase="generate", prompt=40, tokens=5), device, software=software)
    parts = [hwsim.simulate(hwsim.workload("gpt2", phase="prefill", prompt=40), device, software=software)]
    for context in range(40, 45):
        graph = hwsim.workload("gpt2", phase="decode", context=context)
        parts.append(hwsim.simulate(graph, device, software=software))
    assert whole.makespan_ps == sum(part.makespan_ps for part in parts)
    assert whole.energy_j == pytest.approx(sum(part.energy_j for part in parts), rel=1e-12)


def test_what_is_priced_alone_is_what_the_clock_counts_on_one_device() -> None:
    """Without host dispatch and below the cap, replay adds nothing but rounding up to picoseconds."""
    graph = hwsim.workload("gpt2", phase="generate", prompt=40, tokens=5)
    costs, result = hwsim.estimate(graph, "hexagon_v75"), hwsim.simulate(graph, "hexagon_v75")
    operators = sum(len(record.names) for record in result.records)
    assert 0.0 <= result.latency_s - costs.time_s <= operators * 1e-12
    assert result.energy_j == pytest.approx(costs.energy_j, rel=1e-6)


def eager(chip: MakeChip, dispatch: str) -> SystemSpec:
    """A toy chip whose host takes that long to issue an operator."""
    device = chip()
    (stack,) = device.software.values()
    seconds = float(dispatch.removesuffix(" us")) * 1e-6
    return single(replace(device, software={"eager": replace(stack, name="eager", dispatch_s=seconds)}))


def test_the_host_hides_behind_long_operators(chip: MakeChip) -> None:
    """Issuing takes 1 us, running 3 us: only the first operator waits for the host."""
    assert simulate(chain(10), eager(chip, "1 us")).makespan_ps == (1 + 30) * US


def test_short_operators_wait_for_the_host(chip: MakeChip) -> None:
    """Issuing takes 5 us, running 3 us: the last of 10 is issued at 50 us."""
    result = simulate(chain(10), eager(chip, "5 us"))
    assert result.makespan_ps == (50 + 3) * US
    (use,) = result.utilization.values()
    assert use["busy"] == pytest.approx(30 / 53)


def test_the_active_floor_is_drawn_while_the_device_works_not_while_the_host_does(chip: MakeChip) -> None:
    """100 W for 10 operators of 3 us, however long the host takes."""
    quick, slow = (
        simulate(chain(10), eager(lambda: chip({"power.active": "100 W"}), dispatch)) for dispatch in ("1 us", "5 us")
    )
    assert quick.energy_breakdown_j["active"] == pytest.approx(100.0 * 30e-6)
    assert slow.energy_breakdown_j["active"] == pytest.approx(100.0 * 30e-6)


def test_idle_devices_draw_their_idle_power_all_along(system: MakeSystem) -> None:
    result = simulate(
        chain(10), system("abc", changes={"power.idle": "20 W"}), policy="single", options={"device": "b"}
    )
    assert result.energy_breakdown_j["static"] == pytest.approx(3 * 20.0 * 30e-6)
    assert set(result.device_energy_j) == {"a", "b", "c"}


@pytest.mark.parametrize("name", ["resnet18", "gpt2", "lstm"])
@pytest.mark.parametrize("hardware", ["snapdragon_8_gen_3", "h100_x2", "xeon_8480"])
def test_energy_is_the_sum_of_its_causes_and_of_its_places(name: str, hardware: str) -> None:
    result = simulate(hwsim.workload(name), load_system(hardware), policy="auto")
    assert result.energy_j == pytest.approx(sum(result.energy_breakdown_j.values()), rel=1e-12)
    places = sum(result.device_energy_j.values()) + result.energy_breakdown_j["link"]
    assert result.energy_j == pytest.approx(places, rel=1e-12)
    assert result.average_power_w == pytest.approx(result.energy_j / result.latency_s)


def test_energy_of_collectives_is_counted_once() -> None:
    graph = hwsim.ops.all_reduce(bytes=1_000_000, devices=4)
    result = simulate(graph, load_system("h100_x4"))
    places = sum(result.device_energy_j.values()) + result.energy_breakdown_j["link"]
    assert result.energy_breakdown_j["link"] > 0.0
    assert result.energy_j == pytest.approx(places, rel=1e-12)


def products(repeat: int) -> Graph:
    """Large products, compute-bound on every chip."""
    b = GraphBuilder("products")
    b.phase("main", repeat=repeat)
    x = b.input("x", (4096, 4096))
    for _ in range(4):
        x = b.add(Linear(), x, b.weight(f"w{len(b._nodes)}", (4096, 4096)))
    return b.build([x], dtype="fp16")


def hot(chip: MakeChip, tdp: str, window: str = "1 us") -> SystemSpec:
    """A chip whose full rate costs 500 W of arithmetic beside 20 W idle and 30 W active; 3/8 of V is fixed."""
    power = {"tdp": tdp, "window": window, "idle": "20 W", "active": "30 W", "voltage_floor": 0.375}
    return single(chip({f"power.{key}": value for key, value in power.items()}))


def test_a_chip_below_its_limit_runs_at_full_clock(chip: MakeChip) -> None:
    (record,) = simulate(products(2), hot(chip, "600 W")).records
    assert record.clock.tolist() == [1.0]


def test_a_capped_phase_draws_what_it_may(chip: MakeChip) -> None:
    free, capped = (simulate(products(2), hot(chip, tdp)) for tdp in ("600 W", "300 W"))
    assert free.average_power_w > 500.0
    assert capped.average_power_w == pytest.approx(300.0, rel=1e-6)
    assert capped.latency_s > free.latency_s
    assert capped.energy_j < free.energy_j  # arithmetic at a lower voltage saves more than the longer run costs


def test_a_burst_shorter_than_the_controller_s_window_is_not_capped(chip: MakeChip) -> None:
    free, burst = (simulate(products(1), hot(chip, tdp, "10 s")) for tdp in ("600 W", "300 W"))
    assert burst.makespan_ps == free.makespan_ps


def test_a_limit_below_the_slowest_clock_runs_at_the_slowest_clock(chip: MakeChip) -> None:
    (record,) = simulate(products(2), hot(chip, "25 W")).records
    assert record.clock.tolist() == [0.3]


@pytest.mark.slow
@given(st.lists(st.integers(60, 700), min_size=2, max_size=5, unique=True))
def test_a_tighter_limit_never_makes_it_faster_nor_is_it_exceeded(limits: list[int]) -> None:
    device = load_device("ideal")
    power = {"idle": "20 W", "active": "30 W", "window": "1 us", "voltage_floor": 0.375}
    times, reached = [], []
    for limit in sorted(limits):
        changes = {f"power.{key}": value for key, value in power.items()} | {"power.tdp": f"{limit} W"}
        result = simulate(products(1), single(device.evolve(changes)))
        times.append(result.makespan_ps)
        reached.append(result.average_power_w)
    assert times == sorted(times, reverse=True)
    lowest = 20.0 + 30.0 + 500.0 * 0.3  # what is left at the slowest clock, at most
    assert all(power <= max(limit, lowest) * (1 + 1e-6) for power, limit in zip(reached, sorted(limits), strict=True))


def test_a_cap_slows_only_the_phase_that_needs_it(chip: MakeChip) -> None:
    b = GraphBuilder("phases")
    b.phase("copy", repeat=100)
    x = b.add(Relu(), b.input("x", (4096, 4096)))
    b.phase("compute", repeat=2)
    for i in range(4):
        x = b.add(Linear(), x, b.weight(f"w{i}", (4096, 4096)))
    graph = b.build([x], dtype="fp16")
    copy, compute = simulate(graph, hot(chip, "300 W")).records
    assert copy.clock.tolist() == [1.0]
    assert compute.clock[0] < 1.0


def test_units_that_share_a_memory_stretch_each_other(system: MakeSystem) -> None:
    """Two units of 1 TB/s each on a memory of 1 TB/s: two copies of 2 us side by side take 4 us."""
    toys = system(shared=True, latency_s=0.0)
    assert toys.memory is not None
    narrow = replace(toys, memory=replace(toys.memory, bandwidth_bytes_per_s=1e12))
    b = GraphBuilder("side by side")
    ends = [b.add(Relu(), b.input(name, (MEGABYTE,)), name=f"on_{name}") for name in "ab"]
    rules = [{"match": {"name": f"on_{role}"}, "device": role} for role in "ab"]
    result = simulate(b.build(ends, dtype="fp16"), narrow, policy="rules", options={"rules": rules})
    assert result.makespan_ps == pytest.approx(4 * US, abs=2)
    assert np.allclose(result.records[0].stretch, 2.0)
