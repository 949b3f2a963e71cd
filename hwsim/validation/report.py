"""A validation for people: tables for the terminal, a folder of files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from hwsim.errors import InputError
from hwsim.report.document import plain, write_bytes, write_csv, write_json
from hwsim.report.figures import shortened
from hwsim.report.folder import make_folder
from hwsim.report.parity import plot_parity
from hwsim.report.plots import picture
from hwsim.report.tables import plain_table
from hwsim.units import format_quantity
from hwsim.validation.calibration import FamilyFit
from hwsim.validation.terms import TermFit
from hwsim.validation.validate import Compared, Group, Validation, families

__all__ = ["calibration_table", "fits_table", "groups_table", "skipped_table", "summary", "worst_table", "write_folder"]

_UNITS = {"time": "s", "throughput": "/s", "power": "W", "energy": "J", "cycles": ""}
_RIGHT = ("rows", "MAPE", "median", "p90", "bias", "rank", "measured", "predicted", "error")
_REASONS = 12


def groups_table(validation: Validation) -> Table:
    """One row a group, the largest error first; all figures in per cent but the rank correlation."""
    heads = ("device", "operator", "format", "timing", "rows", "MAPE", "median", "p90", "bias", "rank", "basis")
    rows = [_group_row(group) for group in validation.groups]
    spare = ("timing", "median", "p90", "format", "basis")
    return plain_table("Predicted against measured (%)", heads, rows, _RIGHT, optional=spare)


def _group_row(group: Group) -> list[str]:
    score = group.score
    rank = "" if math.isnan(score.spearman) else f"{score.spearman:.2f}"
    errors = [f"{score.mape:.1f}", f"{score.median_ape:.1f}", f"{score.p90_ape:.1f}", f"{score.bias:+.1f}", rank]
    return [group.device, group.op, group.dtype, group.timing, f"{score.n:,}", *errors, group.basis]


def worst_table(validation: Validation, most: int = 10) -> Table:
    """The rows that are furthest off."""
    heads = ("device", "what", "format", "measured", "predicted", "error", "row")
    rows = [_worst_row(each) for each in validation.worst(most)]
    return plain_table("Worst rows", heads, rows, _RIGHT, optional=("format", "row"))


def _worst_row(each: Compared) -> list[str]:
    row = each.row
    unit = _UNITS[each.metric]
    what = " ".join(dict.fromkeys(part for part in (row.op, row.row.text("model"), _sizes(each)) if part))
    figures = [format_quantity(each.measured, unit, 3), format_quantity(each.predicted, unit, 3)]
    place = f"{row.file.path.name}:{row.row.line}"
    return [row.spec, shortened(what, 48), row.dtype, *figures, f"{each.error_percent:+.0f} %", place]


def calibration_table(title: str, families: Sequence[TermFit]) -> Table:
    """One row a kernel family: what was fitted, and the errors in per cent on rows fitted and left out."""
    heads = ("family", "rows", "launch", "compute", "memory", "fitted", "held out")
    rows = [
        [
            fit.family,
            str(fit.rows),
            format_quantity(fit.constants["launch"], "s", 3),
            *(f"{fit.constants[name]:.3g}" for name in ("compute", "memory")),
            f"{fit.fitted_percent:.1f} %",
            f"{fit.held_out_percent:.1f} %",
        ]
        for fit in families
    ]
    return plain_table(f"Constants fitted on {title}", heads, rows, heads[1:])


def fits_table(title: str, fits: Sequence[FamilyFit]) -> Table:
    """One row a kernel family: mean errors of rows left out, before, with new constants, with a residual."""
    heads = ("stack", "family", "rows", "held out", "before", "constants", "residual", "knots")
    rows = [
        [
            fit.family.stack.name,
            fit.family.name,
            f"{len(fit.family.works):,}",
            f"{int(fit.family.held.sum()):,}",
            *(f"{value:.1f} %" for value in (fit.before, fit.formula, fit.after)),
            " x ".join(map(str, fit.residual.knots)) if fit.residual else "none",
        ]
        for fit in fits
    ]
    return plain_table(title, heads, rows, heads[2:])


_SIZES = ("m", "n", "k", "M", "N", "K", "batch", "heads", "seq_q", "seq_kv", "rows", "cols", "bytes", "ngpus", "shape")


def _sizes(each: Compared) -> str:
    columns = each.row.row.columns
    return " ".join(f"{name}={columns[name]}" for name in _SIZES if columns.get(name, "").strip())


def skipped_table(validation: Validation) -> Table:
    """Why rows were not predicted."""
    rows = [[f"{count:,}", reason] for reason, count in validation.skipped]
    if len(rows) > _REASONS:
        rest = sum(count for _, count in validation.skipped[_REASONS:])
        rows = [*rows[:_REASONS], [f"{rest:,}", f"{len(rows) - _REASONS} other reasons (--json lists all)"]]
    return plain_table("Not predicted", ("rows", "reason"), rows, _RIGHT)


def summary(validation: Validation) -> str:
    """How many rows, how far off, and how many of them constants were fitted to, where the data say so."""
    overall, total = validation.overall, len(validation.predictions)
    rows = f"{validation.covered:,} of {total:,} rows predicted ({100.0 * validation.covered / total:.0f} %)"
    if overall is None:
        return rows
    errors = f"MAPE {overall.mape:.1f} %, median {overall.median_ape:.1f} %, p90 {overall.p90_ape:.1f} %"
    lines = [f"{rows}: {errors}, bias {overall.bias:+.1f} %"]
    fitted = [row.row.text("fitted") for row in validation.predictions]
    if any(fitted):
        seen = sum(word == "yes" for word in fitted)
        lines.append(f"constants were fitted to {seen} of these rows and to none of the others")
    return "\n".join(lines)


def write_folder(validation: Validation, folder: Path) -> Path:
    """Write validation.json, predictions.csv and a parity picture for each kind of figure.

    Raises:
        InputError: the folder or a file in it cannot be written.
    """
    make_folder(folder)
    try:
        write_json(plain(validation.document()), folder / "validation.json")
        write_csv(validation.predictions_columns(), folder / "predictions.csv")
        for metric, members in families(validation):
            sets: dict[str, tuple[list[float], list[float]]] = {}
            for each in members:
                measured, predicted = sets.setdefault(f"{each.row.spec} {each.row.op}", ([], []))
                measured.append(each.measured)
                predicted.append(each.predicted)
            largest = dict(sorted(sets.items(), key=lambda item: -len(item[1][0])))
            title = f"{metric}: {len(members):,} measured figures"
            write_bytes(picture(plot_parity(largest, _UNITS[metric], title=title)), folder / f"parity_{metric}.png")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror or error}; give another place") from None
    return folder
