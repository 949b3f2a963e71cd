"""What every test shares: repeatable hypothesis runs, plots without a display, and the measured data."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["MPLBACKEND"] = "Agg"

REPOSITORY = Path(__file__).resolve().parents[1]

# The same examples on every machine and in every run; a busy machine must not fail a property.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=False, suppress_health_check=[HealthCheck.too_slow]
)
# For a person looking for counterexamples: pytest --hypothesis-profile=search
settings.register_profile("search", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Look at what lives as long as the run only once, and for garbage less often: a sixth of the time otherwise."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(autouse=True)
def _piped_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables as wide as in a pipe, whatever terminal runs the tests; pytest's workers inherit a width."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of measured data beside the checkout; the test is skipped where there is none."""
    shared = REPOSITORY.parent / "shared"
    if not (shared / "ground_truth").is_dir():
        pytest.skip("no folder 'shared' with measured data beside the checkout")
    return shared
