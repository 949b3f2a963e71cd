"""Constants found again from times that they made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwsim.devices.base import KINDS, price
from hwsim.graph.work import Map
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.terms import fit_terms

SIZES = [1_000, 10_000, 200_000, 1_000_000, 5_000_000, 20_000_000]
TRUTH = {"launch": 20e-6, "compute": 0.25, "memory": 0.5, "overlap": 1.0, "serial": 1.0}


@pytest.fixture(scope="module")
def chip() -> DeviceSpec:
    return load_device("xeon_8480")


def _rows() -> list[Map]:
    """Some dense in arithmetic, some not, so that both terms count somewhere."""
    return [
        Map(
            kernel="relu",
            elements=n,
            flop_per_element=flop,
            special_per_element=0,
            bytes_in=4 * n,
            bytes_out=4 * n,
            format="fp32",
        )
        for n in SIZES
        for flop in (1, 400)
    ]


def _times_s(chip: DeviceSpec, rows: list[Map]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    stack = SoftwareSpec(name="true", kernels={"relu": TRUTH})
    kind = KINDS[chip.kind]
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = price(
        kind, rows, kind.params(replace(chip, software={"true": stack}), stack)
    ).time_s[0]
    return found


def test_the_constants_that_made_the_times_are_found_again(chip: DeviceSpec) -> None:
    rows = _rows()
    fit = fit_terms(chip, "relu", rows, _times_s(chip, rows), {"serial": 1.0})
    assert {name: fit.constants[name] for name in TRUTH} == pytest.approx(TRUTH, rel=1e-6)
    assert fit.rows == 12
    assert fit.fitted_percent == pytest.approx(0.0, abs=1e-6)
    assert fit.held_out_percent == pytest.approx(0.0, abs=1e-5)


def test_one_row_that_does_not_fit_shows_in_the_held_out_error(chip: DeviceSpec) -> None:
    rows = _rows()
    times = _times_s(chip, rows)
    times[-1] *= 3.0
    fit = fit_terms(chip, "relu", rows, times, {"serial": 1.0})
    assert fit.held_out_percent > fit.fitted_percent > 1.0


def test_times_that_no_term_explains_never_make_a_negative_constant(chip: DeviceSpec) -> None:
    rows = _rows()
    times = _times_s(chip, rows)[::-1].copy()
    fit = fit_terms(chip, "relu", rows, times, {"serial": 1.0})
    assert fit.constants["launch"] >= 0.0
    assert min(fit.constants[name] for name in ("compute", "memory")) > 0.0
