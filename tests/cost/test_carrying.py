"""Constants of one chip on another: clocks, bytes a clock and multiprocessor, watts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.cost.carrying import DRAWN, ChipFacts, carried, clock_share, memory_power_w, process_energy, reached

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
        ("quantize_row", True, 0.5),
        ("gemv_byte", False, 0.5),
        ("step", False, 0.5),
        ("memory", True, 1.0),
    ],
)
def test_what_lasts_clocks_is_shorter_on_a_faster_chip(name: str, on_chip: bool, factor: float) -> None:
    assert carried(name, 0.25, replace(CHIP, clock_hz=2e9), CHIP, on_chip=on_chip) == 0.25 * factor


def test_keys_are_written_by_all_multiprocessors() -> None:
    """Twice the clock and five times as many multiprocessors write ten times as fast."""
    other = replace(CHIP, clock_hz=2e9, sms=50)
    assert carried("key_write", 1.0, other, CHIP, on_chip=True) == pytest.approx(0.1)


def test_a_chip_of_an_eighth_of_the_power_runs_at_half_the_clock() -> None:
    """With no floor under the voltage power goes with the cube of the clock: (1/2)^3 = 1/8."""
    relative = replace(CHIP, tdp_w=8 * 90 / DRAWN)
    assert clock_share(CHIP, relative, PEAKS, 0.8, 0.8) == pytest.approx(0.5, abs=1e-3)


def test_a_chip_with_the_relatives_power_keeps_its_clock() -> None:
    assert clock_share(CHIP, CHIP, PEAKS, 0.8, 0.8) == 1.0


def test_kernels_far_from_the_peak_need_less_power() -> None:
    relative = replace(CHIP, tdp_w=8 * 90 / DRAWN)
    assert clock_share(CHIP, relative, PEAKS, 0.1, 0.8) == pytest.approx(1.0, abs=2e-3)


def test_graphics_memory_takes_its_full_power_from_a_small_board() -> None:
    """T4: 320 GB/s of GDDR6 at 7.5 pJ a bit are 19.2 of its 70 W; HBM rests where products leave it alone."""
    beside, on_package = (memory_power_w(name, 320e9, 60e-12) for name in ("gddr6", "hbm"))
    assert (round(beside, 1), on_package) == (19.2, 0.0)
    assert memory_power_w("hbm", 192e9, 96e-12) > 0.0, "GDDR5 under a parent's name for its memory"
    relative = replace(CHIP, tdp_w=150)
    shares = [clock_share(replace(CHIP, memory_w=watts), relative, PEAKS, 0.8, 0.8) for watts in (on_package, 30.0)]
    assert shares[1] < 0.95 * shares[0]


def test_a_relative_that_drew_less_of_its_limit_spends_less_an_operation() -> None:
    relative = replace(CHIP, tdp_w=300)
    shares = [clock_share(CHIP, relative, PEAKS, 0.8, 0.8, drawn) for drawn in (0.9, 0.7)]
    assert shares[0] < shares[1] < 1.0


def test_starved_units_reach_less_than_their_ceiling() -> None:
    """The largest tile loads 384 elements for 32,768 products: 85.3 each."""
    assert reached(0.8, 85.0) == 0.8
    assert reached(0.8, 2 * 256 * 128 / 384) == pytest.approx(0.4)


def test_a_newer_process_takes_less_energy() -> None:
    energies = [process_energy(name) for name in ("TSMC 16FF", "TSMC 12FFN", "Samsung 8N", "TSMC N7", "TSMC 4N")]
    assert energies == sorted(energies, key=lambda energy: -(energy or 0.0))
    old, new = replace(CHIP, process="TSMC 12FFN"), replace(CHIP, process="TSMC 4N")
    assert clock_share(old, new, PEAKS, 0.8, 0.8) < 1.0 == clock_share(new, old, PEAKS, 0.8, 0.8)


@pytest.mark.parametrize("peaks", [(0.0, 1.0), (1.0, 0.0)])
def test_a_format_that_one_of_them_lacks_says_nothing(peaks: tuple[float, float]) -> None:
    assert clock_share(CHIP, replace(CHIP, tdp_w=9000), peaks, 0.8, 0.8) == 1.0
