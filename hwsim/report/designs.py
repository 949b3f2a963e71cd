"""A sweep as table, files and picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from hwsim.report.document import write_csv
from hwsim.report.folder import make_folder
from hwsim.report.plots import plot_pareto, save
from hwsim.report.tables import plain_table

__all__ = ["pareto_table", "summary", "write_folder"]


def pareto_table(title: str, front: Mapping[str, Sequence[Any]], most: int = 40) -> Table:
    """The Pareto front, one row a design; long fronts are thinned evenly, both ends kept."""
    count = len(next(iter(front.values()), ()))
    step = max(1.0, (count - 1) / (most - 1)) if most > 1 else 1.0
    chosen = sorted({round(i * step) for i in range(most) if round(i * step) < count})
    rows = [tuple(_shown(values[i]) for values in front.values()) for i in chosen]
    note = "" if len(chosen) == count else f" ({len(chosen)} of {count} shown)"
    return plain_table(f"{title}: Pareto front{note}", list(front), rows, list(front))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def summary(columns: Mapping[str, Sequence[Any]], front: Mapping[str, Sequence[Any]]) -> str:
    """How many designs were priced, and how many no other beats."""
    return f"{len(columns['latency_s']):,} designs priced, {len(front['latency_s']):,} on the Pareto front"


def write_folder(
    columns: Mapping[str, Sequence[Any]],
    front: Mapping[str, Sequence[Any]],
    objectives: Sequence[tuple[str, str]],
    folder: Path,
) -> Path:
    """Write designs.csv, pareto.csv and pareto.png; raises InputError where that is impossible."""
    make_folder(folder)
    write_csv(columns, folder / "designs.csv")
    write_csv(front, folder / "pareto.csv")
    save(plot_pareto(columns, front, objectives), folder / "pareto.png")
    return folder
