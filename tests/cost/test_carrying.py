"""Constants of one chip on another: clocks, bytes a clock and multiprocessor, watts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.cost.carrying import DRAWN, ChipFacts, carried, clock_share, process_energy

CHIP = ChipFacts(
    sms=10, clock_hz=1e9, matrix_clock_hz=1e9, bandwidth_bytes_per_s=1e9, tdp_w=90, idle_w=0, voltage_floor=0.0
)
PEAKS = (1e12, 1e12)


def test_l2_keeps_its_bytes_a_clock_and_multiprocessor() -> None:
    """Twice the SMs and half the memory: a byte from L2 is four times as fast against one from the memory."""
    other = replace(CHIP, sms=20, bandwidth_bytes_per_s=0.5e9)
    assert carried("cache_speedup", 1.5, other, CHIP) == 6.0


def test_l2_is_never_slower_than_the_memory() -> None:
    assert carried("cache_speedup", 1.5, replace(CHIP, bandwidth_bytes_per_s=9e9), CHIP) == 1.0


@pytest.mark.parametrize(
    ("name", "on_chip", "factor"),
    [
        ("launch", True, 0.5),
        ("launch", False, 1.0),
        ("row", True, 0.5),
        ("gemv_byte", False, 0.5),
        ("memory", True, 1.0),
    ],
)
def test_what_lasts_clocks_is_shorter_on_a_faster_chip(name: str, on_chip: bool, factor: float) -> None:
    assert carried(name, 0.25, replace(CHIP, clock_hz=2e9), CHIP, on_chip=on_chip) == 0.25 * factor


def test_a_chip_of_an_eighth_of_the_power_runs_at_half_the_clock() -> None:
    """With no floor under the voltage power goes with the cube of the clock: (1/2)^3 = 1/8."""
    relative = replace(CHIP, tdp_w=8 * 90 / DRAWN)
    assert clock_share(CHIP, relative, PEAKS, 0.8, 0.8) == pytest.approx(0.5, abs=1e-3)


def test_a_chip_with_the_relatives_power_keeps_its_clock() -> None:
    assert clock_share(CHIP, CHIP, PEAKS, 0.8, 0.8) == 1.0


def test_kernels_far_from_the_peak_need_less_power() -> None:
    relative = replace(CHIP, tdp_w=8 * 90 / DRAWN)
    assert clock_share(CHIP, relative, PEAKS, 0.1, 0.8) == pytest.approx(1.0, abs=2e-3)


def test_a_newer_process_takes_less_energy() -> None:
    energies = [process_energy(name) for name in ("TSMC 16FF", "TSMC 12FFN", "Samsung 8N", "TSMC N7", "TSMC 4N")]
    assert energies == sorted(energies, key=lambda energy: -(energy or 0.0))
    old, new = replace(CHIP, process="TSMC 12FFN"), replace(CHIP, process="TSMC 4N")
    assert clock_share(old, new, PEAKS, 0.8, 0.8) < 1.0 == clock_share(new, old, PEAKS, 0.8, 0.8)


@pytest.mark.parametrize("peaks", [(0.0, 1.0), (1.0, 0.0)])
def test_a_format_that_one_of_them_lacks_says_nothing(peaks: tuple[float, float]) -> None:
    assert clock_share(CHIP, replace(CHIP, tdp_w=9000), peaks, 0.8, 0.8) == 1.0
