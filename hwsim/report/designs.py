"""A sweep as table, files and picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from hwsim.report.document import plain, write_bytes, write_csv
from hwsim.report.folder import make_folder
from hwsim.report.plots import picture, plot_pareto
from hwsim.report.tables import plain_table
from hwsim.specs.scenario import METRICS
from hwsim.specs.sweep import SweepSpec, VarySpec
from hwsim.units import base_unit, format_quantity

__all__ = ["design_labels", "front_document", "pareto_table", "summary", "unmet", "value_text", "write_folder"]

Columns = Mapping[str, Sequence[Any]]
_TOTALS = ("latency_s", "energy_j", "average_power_w", "utilization")
_MEBI = 2.0**20


def _short(axis: VarySpec) -> str:
    """The path without the section it begins with: ``memory.tcm.capacity`` is the tcm's capacity."""
    return " ".join(axis.path.split(".")[1:]) or axis.path


def value_text(axis: VarySpec, value: float | str) -> str:
    """A value of an axis with its unit; sizes of whole mebibytes in those.

    >>> value_text(VarySpec(path="memory.tcm.capacity", values=(), numbers=(), unit="B"), 4194304.0)
    '4 MiB'
    """
    if isinstance(value, str):
        return value
    if axis.unit == "B" and value and value % _MEBI == 0.0:
        return f"{value / _MEBI:g} MiB"
    return format_quantity(value, axis.unit) if axis.unit else f"{value:g}"


def design_labels(spec: SweepSpec, columns: Columns) -> tuple[list[str], str]:
    """What sets each design apart from the others, and what all of them share."""
    apart = [axis for axis in spec.vary if len(set(columns[axis.path])) > 1]
    count = len(next(iter(columns.values()), ()))
    labels = [", ".join(f"{_short(a)} {value_text(a, columns[a.path][i])}" for a in apart) for i in range(count)]
    shared = [axis for axis in spec.vary if len(axis.values) > 1 and axis not in apart] if count > 1 else []
    same = ", ".join(f"{_short(axis)} {value_text(axis, columns[axis.path][0])}" for axis in shared)
    return labels, f"whole front: {same}" if same else ""


def pareto_table(spec: SweepSpec, front: Columns, most: int = 40) -> Table:
    """The Pareto front, one row a design; long fronts are thinned evenly, both ends kept."""
    count = len(next(iter(front.values()), ()))
    step = max(1.0, (count - 1) / (most - 1)) if most > 1 else 1.0
    chosen = sorted({round(i * step) for i in range(most) if round(i * step) < count})
    metrics = list(dict.fromkeys([*(name for name, _ in spec.objectives), *_TOTALS]))
    rows = [
        [value_text(axis, front[axis.path][i]) for axis in spec.vary]
        + [_figure(name, front[name][i]) for name in metrics]
        for i in chosen
    ]
    heads = [_short(axis) for axis in spec.vary] + [_words(name) for name in metrics]
    note = "" if len(chosen) == count else f" ({len(chosen)} of {count} shown)"
    return plain_table(f"{spec.title}: Pareto front{note}", heads, rows, heads)


def _words(metric: str) -> str:
    return (metric.rsplit("_", 1)[0] if METRICS.get(metric) else metric).replace("_", " ")


def _figure(metric: str, value: float) -> str:
    dimension = METRICS.get(metric, "")
    if metric == "utilization":
        return f"{value:.1%}"
    return format_quantity(value, base_unit(dimension)) if dimension else f"{value:.4g}"


def summary(columns: Columns, front: Columns) -> str:
    """How many designs were priced, and how many no other beats."""
    return f"{len(columns['latency_s']):,} designs priced, {len(front['latency_s']):,} on the Pareto front"


def unmet(spec: SweepSpec, columns: Columns) -> str:
    """Why no design is left: the constraints, and how close the nearest design comes to each."""
    texts = []
    for need in spec.constraints:
        values = [float(value) for value in columns[need.metric]]
        nearest = min(values, key=lambda value: abs(value - need.limit))
        limit, best = _figure(need.metric, need.limit), _figure(need.metric, nearest)
        texts.append(f"{_words(need.metric)} {need.op} {limit} (nearest {best})")
    return f"no design keeps to the constraints: {', '.join(texts)}"


def front_document(spec: SweepSpec, columns: Columns, front: Columns) -> dict[str, Any]:
    """The Pareto front as a JSON document; figures in SI units."""
    rows = [dict(zip(front, row, strict=True)) for row in zip(*front.values(), strict=True)]
    document = {
        "schema": "hwsim/front/v1",
        "sweep": spec.name,
        "designs": len(columns["latency_s"]),
        "objectives": dict(spec.objectives),
        "front": rows,
    }
    shown: dict[str, Any] = plain(document)
    return shown


def write_folder(spec: SweepSpec, columns: Columns, front: Columns, folder: Path) -> Path:
    """Write designs.csv, pareto.csv and pareto.png; raises InputError where that is impossible."""
    make_folder(folder)
    write_csv(columns, folder / "designs.csv")
    write_csv(front, folder / "pareto.csv")
    labels, note = design_labels(spec, front)
    front_ax = plot_pareto(columns, front, spec.objectives, title=spec.title, labels=labels, note=note)
    write_bytes(picture(front_ax), folder / "pareto.png")
    return folder
