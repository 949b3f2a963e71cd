"""What ``hwsim verify`` found, as tables and as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from hwsim.report.tables import plain_table
from hwsim.validation.node_cases import CaseResult
from hwsim.validation.whole_models import ModelResult
from hwsim.version import __version__

__all__ = ["by_operator", "cases_table", "document", "models_table"]

_VERDICTS = ("passed", "not supported", "failed")


def by_operator(results: Sequence[CaseResult]) -> dict[str, Counter[str]]:
    """How many cases of each operator have each verdict, by name."""
    found: dict[str, Counter[str]] = {}
    for result in results:
        found.setdefault(result.operator, Counter())[result.verdict] += 1
    return dict(sorted(found.items()))


def cases_table(results: Sequence[CaseResult], *, whole: bool = False) -> Table:
    """One row an operator and their sum; operators of which no case is supported share a row unless ``whole``."""
    rows: list[list[str]] = []
    other: Counter[str] = Counter()
    left_out = 0
    for operator, counts in by_operator(results).items():
        if not whole and set(counts) == {"not supported"}:
            other += counts
            left_out += 1
        else:
            rows.append([operator, *(_shown(counts[verdict]) for verdict in _VERDICTS)])
    if left_out:
        rows.append([f"{left_out} more", *(_shown(other[verdict]) for verdict in _VERDICTS)])
    total = Counter(result.verdict for result in results)
    rows.append(["all", *(f"{total[verdict]:,}" for verdict in _VERDICTS)])
    heads = ("operator", *_VERDICTS)
    return plain_table("Test cases of the ONNX project", heads, rows, heads[1:])


def _shown(count: int) -> str:
    return f"{count:,}" if count else ""


def models_table(models: Sequence[ModelResult]) -> Table:
    """One row a network."""
    heads = ("network", "operators", "MACs", "parameters", "largest error", "verdict")
    rows = [
        [m.name, f"{m.operators:,}", f"{m.macs:,}", f"{m.parameters:,}", f"{m.error:.1e}", m.verdict] for m in models
    ]
    return plain_table("Networks against ONNX Runtime", heads, rows, heads[1:5])


def document(results: Sequence[CaseResult], models: Sequence[ModelResult]) -> dict[str, Any]:
    """The document of ``hwsim verify --json``."""
    total = Counter(result.verdict for result in results)
    return {
        "schema": "hwsim/verification/v1",
        "hwsim_version": __version__,
        "cases": {
            "passed": total["passed"],
            "not_supported": total["not supported"],
            "failed": total["failed"],
            "operators": [
                {
                    "operator": operator,
                    "passed": counts["passed"],
                    "not_supported": counts["not supported"],
                    "failed": counts["failed"],
                }
                for operator, counts in by_operator(results).items()
            ],
            "left": [
                {"case": r.name, "operator": r.operator, "verdict": r.verdict, "reason": r.reason}
                for r in results
                if r.verdict != "passed"
            ],
        },
        "models": [
            {
                "model": m.name,
                "operators": m.operators,
                "macs": m.macs,
                "parameters": m.parameters,
                "outputs": m.outputs,
                "largest_error": float(f"{m.error:.9g}"),
                "verdict": m.verdict,
            }
            for m in models
        ],
    }
