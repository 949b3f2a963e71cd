"""What a run means, in words."""

from __future__ import annotations

from dataclasses import replace

import hwsim
from hwsim.report.basis import Basis
from hwsim.report.result import Result
from hwsim.report.summary import basis_line, energy_text, estimate_pairs, summary_lines, verdict_tables
from hwsim.specs.device import DeviceSpec


def cells(table: object) -> list[str]:
    return [str(cell) for column in table.columns for cell in column.cells]  # type: ignore[attr-defined]


def test_a_long_basis_is_cut_and_says_where_the_whole_stands() -> None:
    basis = Basis(name="calibrated", error_percent=5.0, says="word " * 200)
    line = basis_line(basis, ["t4"])
    assert len(line) < 180
    assert line.endswith("...; hwsim devices t4 shows it whole")
    assert basis_line(replace(basis, says="ten rows"), ["t4"]) == "ten rows"


def test_the_whole_basis_stands_where_it_is_asked_for(product: Result) -> None:
    long = replace(product, basis=replace(product.basis, says="word " * 200))
    assert any("..." in line for line in summary_lines(long))
    assert not any("..." in line for line in summary_lines(long, whole=True))


def test_the_summary_names_basis_band_and_fidelity(product: Result) -> None:
    first, *_ = summary_lines(product)
    assert "basis uncalibrated, expected error 50 %" in first
    assert "operator-level, closed forms; not cycle-accurate" in first


def test_a_run_that_does_not_fit_says_why(product: Result) -> None:
    assert summary_lines(replace(product, fits=False, note="too small"))[-1] == "  does not fit: too small"


def test_energy_by_cause_in_a_line(product: Result) -> None:
    assert energy_text(product) == "energy: compute 17%, memory 0%, active 50%, static 33%"


def test_tokens_have_their_usual_figures(decoding: Result) -> None:
    text = "\n".join(summary_lines(decoding))
    assert "8 tokens at" in text
    assert "first token after" in text
    assert "tokens/s" in text


def test_claims_and_limits_carry_units(product: Result) -> None:
    claim = {"says": "s", "claimed": 4.0, "simulated": 2.0, "measured": None, "verdict": "v", "unit": "x"}
    need = {"name": "n", "holds": False, "value": 2e-3, "limit": 1e-3, "metric": "latency_s", "op": "<=", "over": ""}
    row = {"metric": "energy_j", "measured": 1.0, "simulated": 2.0, "error_percent": 100.0, "source": "bench"}
    tables = verdict_tables([replace(product, claims=(claim,), requirements=(need,), measured=(row,))])
    claims, measured, needs = (cells(table) for table in tables)
    assert "4 x" in claims
    assert {"energy", "1 J", "2 J", "+100.0 %", "bench"} <= set(measured)
    assert {"latency <= 1 ms", "2 ms", "FAILS"} <= set(needs)


def test_nothing_to_judge_makes_no_tables(product: Result) -> None:
    assert verdict_tables([product]) == []


def test_an_estimate_in_names_and_values(toy: DeviceSpec) -> None:
    pairs = dict(estimate_pairs(hwsim.estimate(hwsim.ops.matmul(m=1000, n=1000, k=1000, dtype="fp16"), toy)))
    assert pairs["time"] == "2 ms ± 50 %"
    assert pairs["energy"].split()[:2] == ["12.05", "mJ"]
    assert pairs["bound by"] == "100% compute"
    assert pairs["makes"] == "1 run"
