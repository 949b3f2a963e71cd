"""Copies of measured constants in device files."""

from __future__ import annotations

import pytest

from benchmarks.carry import COPIES, Copy, updated
from benchmarks.fit_residuals import TOP
from hwsim.loading.device import load_device


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: f"{copy.chip}-{copy.stack}")
def test_copies_are_those_of_the_measured_chip(copy: Copy) -> None:
    text = (TOP / "device_specs" / f"{copy.chip}.yaml").read_text(encoding="utf-8")
    assert updated(copy, text) == text, "run: python -m benchmarks.carry --write"
    assert load_device(copy.chip).software[copy.stack].basis == "family"
