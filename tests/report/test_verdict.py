"""Claims, measurements and requirements beside what was simulated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.report.result import Result
from hwsim.report.verdict import compared, judged, required
from hwsim.specs.scenario import ClaimSpec, MeasuredSpec, RequirementSpec


@pytest.fixture
def runs(product: Result) -> dict[tuple[str, str], Result]:
    """The product of 2 ms under two names, and in a variant."""
    return {("", "a"): product, ("", "b"): replace(product, seed=1), ("fast", "a"): product}


def need(op: str, limit: float, **more: str) -> RequirementSpec:
    return RequirementSpec(name="n", metric="latency_s", op=op, limit=limit, **more)


@pytest.mark.parametrize(
    ("op", "limit", "holds"),
    [
        ("<=", 2e-3, True),
        ("<", 2e-3, False),
        (">=", 2e-3, True),
        (">", 2e-3, False),
        ("==", 2e-3, True),
        ("<", 3e-3, True),
    ],
)
def test_a_requirement_compares(runs: dict[tuple[str, str], Result], op: str, limit: float, holds: bool) -> None:
    ((key, entry),) = required(need(op, limit, system="a", variant="fast"), runs)
    assert key == ("fast", "a")
    assert (entry["holds"], entry["value"], entry["limit"]) == (holds, pytest.approx(2e-3), limit)


def test_a_requirement_without_a_system_speaks_of_all_runs(runs: dict[tuple[str, str], Result]) -> None:
    assert [key for key, _ in required(need("<=", 1.0), runs)] == list(runs)


def test_a_requirement_may_be_a_ratio(runs: dict[tuple[str, str], Result]) -> None:
    ((_, entry),) = required(need("<=", 1.0, system="b", over="a"), runs)
    assert (entry["value"], entry["over"]) == (1.0, "a")


def test_a_requirement_of_a_system_that_did_not_run(runs: dict[tuple[str, str], Result]) -> None:
    with pytest.raises(UnknownNameError, match="run of this scenario"):
        required(need("<=", 1.0, system="c"), runs)


def test_nothing_is_divided_by_zero(product: Result) -> None:
    idle = replace(product, fits=False)
    ratio = RequirementSpec(name="n", metric="fits", op="<=", limit=1.0, system="a", over="b")
    with pytest.raises(InputError, match="fits of b is 0"):
        required(ratio, {("", "a"): product, ("", "b"): idle})


def test_a_claim_within_a_quarter_agrees(runs: dict[tuple[str, str], Result]) -> None:
    claim = ClaimSpec(says="s", value=2.2e-3, metric="latency_s", system="a")
    key, entry = judged(claim, (), runs)
    assert key == ("", "a")
    assert entry["simulated"] == pytest.approx(2e-3)
    assert "agrees" in str(entry["verdict"])
    assert "differs" in str(judged(replace(claim, value=4e-3), (), runs)[1]["verdict"])


@pytest.mark.parametrize(("measured", "nearer"), [(1.1, "simulation"), (3.9, "claim")])
def test_with_a_measurement_the_nearer_one_wins(
    runs: dict[tuple[str, str], Result], measured: float, nearer: str
) -> None:
    """Claimed 4 x, simulated 1 x."""
    claim = ClaimSpec(says="s", value=4.0, unit="x", metric="latency_s", system="a", over="b")
    rows = (MeasuredSpec(source="s", value=measured, unit="x"),)
    _, entry = judged(claim, rows, runs)
    assert (entry["simulated"], entry["measured"], entry["unit"]) == (1.0, measured, "x")
    assert f"the {nearer} is nearer" in str(entry["verdict"])


def test_a_claim_without_a_figure_is_only_repeated(runs: dict[tuple[str, str], Result]) -> None:
    _, entry = judged(ClaimSpec(says="NPUs are better"), (), runs)
    assert entry["simulated"] is None


def test_measured_figures_stand_beside_simulated_ones(runs: dict[tuple[str, str], Result]) -> None:
    key, rows = compared(MeasuredSpec(source="s", system="b", latency_s=4e-3, power_w=6.024), runs)
    assert key == ("", "b")
    assert [(row["metric"], row["error_percent"]) for row in rows] == [
        ("latency_s", pytest.approx(-50.0)),
        ("average_power_w", pytest.approx(0.0, abs=1e-9)),
    ]
