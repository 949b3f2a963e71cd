"""A chip held at a P-state: what follows the clock, what the voltage, what neither."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.cost.power import leakage_w
from hwsim.errors import UnknownNameError
from hwsim.flow import simulate
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec, PState
from hwsim.specs.operating import at_state
from hwsim.specs.system import single
from hwsim.workloads import workload


def held(spec: DeviceSpec, clock: float, voltage: float) -> DeviceSpec:
    """The chip at a point of its own."""
    states = (PState(name="point", clock=clock, voltage=voltage),)
    return at_state(replace(spec, power=replace(spec.power, p_states=states)), "point")


def test_half_the_clock_at_eight_tenths_of_the_voltage() -> None:
    nominal = load_device("jetson_agx_orin")
    slow = held(nominal, 0.5, 0.8)
    assert slow.core.clock_hz == nominal.core.clock_hz * 0.5
    assert slow.power.active_w == pytest.approx(nominal.power.active_w * 0.64 * 0.5)
    assert slow.power.static_w == pytest.approx(nominal.power.static_w * 0.8)
    assert slow.power.idle_w - slow.power.static_w == pytest.approx(nominal.power.idle_w - nominal.power.static_w)
    for name, joules in nominal.power.energy_per_op_j.items():
        assert slow.power.energy_per_op_j[name] == pytest.approx(joules * 0.64)


def test_memory_off_the_chip_keeps_its_bandwidth_and_its_energy() -> None:
    nominal = load_device("hexagon_v75")
    slow = held(nominal, 0.5, 0.8)
    assert slow.memory[0] == nominal.memory[0]
    assert slow.memory[1].bandwidth_bytes_per_s == nominal.memory[1].bandwidth_bytes_per_s * 0.5
    assert slow.memory[1].energy_j_per_byte == pytest.approx(nominal.memory[1].energy_j_per_byte * 0.64)


def test_a_chip_whose_only_memory_is_its_own_slows_down_as_a_whole() -> None:
    slow = load_device("syntiant_ndp120@30mhz")
    nominal = load_device("syntiant_ndp120")
    ratios = [
        a.bandwidth_bytes_per_s / b.bandwidth_bytes_per_s for a, b in zip(slow.memory, nominal.memory, strict=True)
    ]
    assert ratios == pytest.approx([30 / 98, 30 / 98], rel=1e-5)


def test_a_file_is_held_at_a_p_state_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    states = "[{name: low, clock: 0.5, voltage: 0.8, aliases: [mine (slow)]}]"
    path.write_text(
        "schema: hwsim/device/v1\nname: mine\ntitle: Mine\nextends: hexagon_v75\n"
        f'power: {{p_states: {states}, assumption: "round"}}\n',
        encoding="utf-8",
    )
    slow = load_device(f"{path}@low")
    assert (slow.name, slow.aliases) == ("mine@low", ("mine (slow)",))
    assert slow.core.clock_hz == load_device("hexagon_v75").core.clock_hz * 0.5


def test_a_p_state_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="30mhz"):
        load_device("syntiant_ndp120@31mhz")


def test_a_p_state_of_an_unknown_chip_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="syntiant_ndp12"):
        load_device("syntiant_ndp12@30mhz")


def test_measured_data_may_call_a_p_state_by_a_name_of_its_own() -> None:
    assert load_device("Syntiant NDP120 (0.9V/30MHz)").name == "syntiant_ndp120@30mhz"
    assert load_device("Syntiant NDP120 (1.1V/98MHz)").name == "syntiant_ndp120"


def test_without_leakage_and_host_time_power_is_pure_v_squared_f() -> None:
    """0.9 V at 30 MHz against 1.1 V at 98 MHz: 98/30 times faster at (1.1/0.9)^2 98/30 the power, 1.49 the energy."""
    chip = load_device("syntiant_ndp120")
    stack = replace(chip.default_software, request_s=0.0)
    pure = replace(chip, power=replace(chip.power, idle_w=0.0, static_w=0.0), software={stack.name: stack})
    graph = workload("resnet8_cifar10", dtype="w8a8")
    fast, slow = simulate(graph, single(pure)), simulate(graph, single(held(pure, 30 / 98, 0.9 / 1.1)))
    assert slow.latency_s / fast.latency_s == pytest.approx(98 / 30, rel=1e-6)
    assert fast.average_power_w / slow.average_power_w == pytest.approx(4.88, abs=0.01)
    assert fast.energy_j / slow.energy_j == pytest.approx(1.494, abs=0.001)


PAIRS = {
    # MLPerf Tiny v1.2, closed/syntiant: seconds and joules of an inference at 1.1 V, 98 MHz and at 0.9 V, 30 MHz
    "resnet8": (5.1275e-3, 139.4e-6, 16.060e-3, 101.8e-6),
    "ds_cnn": (1.5049e-3, 43.80e-6, 4.4013e-3, 31.54e-6),
    "mobilenet": (4.1480e-3, 97.16e-6, 12.806e-3, 71.71e-6),
}


@pytest.mark.parametrize("name", ["ds_cnn", "mobilenet"])
def test_leakage_set_from_one_pair_gives_the_energy_of_the_others(name: str) -> None:
    """Dynamic energy falls with V^2, leakage V I is drawn for longer; I is that of ResNet-8 (syntiant_ndp120.yaml)."""
    fast_s, fast_j, slow_s, slow_j = PAIRS[name]
    static_w, volts = load_device("syntiant_ndp120").power.static_w, 0.9 / 1.1
    dynamic_j = fast_j - static_w * fast_s
    predicted_j = dynamic_j * volts**2 + leakage_w(static_w, volts) * slow_s
    assert predicted_j == pytest.approx(slow_j, rel=0.005)
    assert fast_j * volts**2 < 0.95 * slow_j


@pytest.mark.parametrize(("name", "pair"), [("ds_cnn", "ds_cnn"), ("mobilenet_v1_025_96", "mobilenet")])
def test_both_points_of_networks_never_fitted_differ_as_measured(name: str, pair: str) -> None:
    fast_s, fast_j, slow_s, slow_j = PAIRS[pair]
    graph = workload(name, dtype="w8a8")
    fast, slow = (simulate(graph, single(load_device(f"syntiant_ndp120@{state}"))) for state in ("98mhz", "30mhz"))
    assert slow.latency_s / fast.latency_s == pytest.approx(slow_s / fast_s, rel=0.03)
    assert fast.energy_j / slow.energy_j == pytest.approx(fast_j / slow_j, rel=0.02)
    assert fast.average_power_w / slow.average_power_w == pytest.approx(fast_j / fast_s / (slow_j / slow_s), rel=0.04)


@pytest.mark.parametrize(("name", "pair"), [("ds_cnn", "ds_cnn"), ("mobilenet_v1_025_96", "mobilenet")])
def test_networks_never_fitted_take_about_the_measured_time_and_power(name: str, pair: str) -> None:
    fast_s, fast_j, *_ = PAIRS[pair]
    found = simulate(workload(name, dtype="w8a8"), single(load_device("syntiant_ndp120")))
    assert found.latency_s == pytest.approx(fast_s, rel=0.15)
    assert found.average_power_w == pytest.approx(fast_j / fast_s, rel=0.20)
