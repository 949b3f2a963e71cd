"""Networks of MLPerf Tiny on microcontrollers that no constant was fitted to."""

from __future__ import annotations

import pytest

from hwsim.flow import estimate, simulate
from hwsim.loading.device import load_device
from hwsim.specs.system import single
from hwsim.workloads import workload

pytestmark = pytest.mark.validation


@pytest.mark.parametrize(
    ("device", "software", "name", "measured_s"),
    [
        ("stm32h7a3", "x_cube_ai", "mobilenet_v1_025_96", 23.80e-3),
        ("stm32h7a3", "x_cube_ai", "deep_autoencoder", 1.225e-3),
        ("stm32u575", "x_cube_ai", "mobilenet_v1_025_96", 59.28e-3),
        ("stm32u575", "bosch", "mobilenet_v1_025_96", 119.8e-3),
        ("stm32f746", "bosch", "mobilenet_v1_025_96", 57.25e-3),
        ("psoc62", "bosch", "deep_autoencoder", 5.969e-3),
    ],
)
def test_ratios_between_kinds_of_layers_carry_over_from_another_core(
    device: str, software: str, name: str, measured_s: float
) -> None:
    """MLPerf Tiny v1.2; ResNet-8 set one share of the peak a chip, an STM32L4R5 the ratios."""
    found = estimate(workload(name, dtype="int8"), load_device(device), software)
    assert found.time_s == pytest.approx(measured_s, rel=0.15)


def test_energy_of_an_inference_is_the_power_of_the_core_for_its_time() -> None:
    """MLPerf Tiny v1.2: 2.965 mJ for visual wake words on NUCLEO-H7A3ZI-Q."""
    graph = workload("mobilenet_v1_025_96", dtype="int8")
    result = simulate(graph, single(load_device("stm32h7a3")), limited=False)
    assert result.energy_j == pytest.approx(2.965e-3, rel=0.05)
