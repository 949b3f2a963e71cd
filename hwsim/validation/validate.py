"""Predicted against measured: scores by device and operator, what was skipped and why, the worst rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hwsim.errors import InputError
from hwsim.validation.measured import FIGURES, files_below, read_measured
from hwsim.validation.predict import Prediction, predict
from hwsim.validation.score import Score, scored

__all__ = ["REFERENCE", "Compared", "Group", "Validation", "validate"]

REFERENCE = Path(__file__).with_name("reference.csv")
"""Public figures that ship with hwsim, each with its source."""
_SCHEMA = "hwsim/validation/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measured figure beside its prediction, in SI units; ``metric`` is time, power, energy or cycles."""

    row: Prediction
    column: str
    metric: str
    measured: float
    predicted: float

    @property
    def error_percent(self) -> float:
        """Signed error in per cent of what was measured."""
        return 100.0 * (self.predicted / self.measured - 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows of one device, operator, format and way of timing; powers and energies are operators of their own."""

    device: str
    op: str
    dtype: str
    timing: str
    basis: str
    score: Score


@dataclass(frozen=True, eq=False)
class Validation:
    """All rows of some measured data, with what hwsim predicts for them."""

    data: str
    predictions: Sequence[Prediction]

    @cached_property
    def compared(self) -> list[Compared]:
        """Every measured figure that was predicted."""
        return [
            Compared(row=row, column=column, metric=metric, measured=measured, predicted=row.values[metric])
            for row in self.predictions
            for column, measured in row.row.figures.items()
            if (metric := FIGURES[column].metric) in row.values
        ]

    @cached_property
    def groups(self) -> list[Group]:
        """Scores by device, operator, format and timing; the largest error first."""
        members: dict[tuple[str, str, str, str, str], list[Compared]] = {}
        for each in self.compared:
            row = each.row
            op = row.op if each.metric in ("time", "cycles") else f"{row.op} {each.metric}"
            members.setdefault((row.spec, op, row.dtype, row.timing, row.basis), []).append(each)
        found = [
            Group(device=device, op=op, dtype=dtype, timing=timing, basis=basis, score=_score(each))
            for (device, op, dtype, timing, basis), each in members.items()
        ]
        return sorted(found, key=lambda group: (-group.score.mape, group.device, group.op, group.dtype, group.timing))

    @cached_property
    def skipped(self) -> list[tuple[str, int]]:
        """Reasons why rows were not predicted, and how many rows; the most frequent first."""
        counts = Counter(row.reason for row in self.predictions if row.reason)
        counts["no figure of this kind is predicted for them"] += len(self._unanswered)
        return [pair for pair in counts.most_common() if pair[1]]

    @cached_property
    def _unanswered(self) -> list[Prediction]:
        answered = {id(each.row) for each in self.compared}
        return [row for row in self.predictions if not row.reason and id(row) not in answered]

    @property
    def covered(self) -> int:
        """Rows of which at least one figure was predicted."""
        return len(self.predictions) - sum(count for _, count in self.skipped)

    @cached_property
    def overall(self) -> Score | None:
        """The score over the first figure of every row; None where nothing was predicted."""
        first = {id(each.row): each for each in reversed(self.compared)}
        return _score(list(first.values())) if first else None

    def worst(self, most: int = 10) -> list[Compared]:
        """The figures that are furthest off, as ratios in either direction."""

        def nearness(each: Compared) -> float:
            return min(each.predicted / each.measured, each.measured / each.predicted)

        return sorted(self.compared, key=nearness)[:most]

    def document(self) -> dict[str, Any]:
        """The result as INTERFACE.md lays it out; percentages in per cent."""
        overall = self.overall
        total = {"n": self.covered} | ({k: getattr(overall, k) for k in _SHORT} if overall else dict.fromkeys(_SHORT))
        return {
            "schema": _SCHEMA,
            "data": self.data,
            "rows": len(self.predictions),
            "skipped": [{"reason": reason, "rows": rows} for reason, rows in self.skipped],
            "groups": [_group_document(group) for group in self.groups],
            "overall": total | {"coverage": self.covered / len(self.predictions) if self.predictions else 0.0},
        }

    def predictions_columns(self) -> dict[str, list[str]]:
        """Every column of the data, then the predictions in the units of the measured columns, spec, basis, reason."""
        names = dict.fromkeys(name for row in self.predictions for name in row.row.columns)
        added = dict.fromkeys(
            FIGURES[column].predicted for row in self.predictions for column in row.row.figures if column in FIGURES
        )
        columns = {name: [row.row.columns.get(name, "") for row in self.predictions] for name in names}
        columns |= {name: [_predicted(row, name) for row in self.predictions] for name in added}
        columns["spec"] = [row.spec for row in self.predictions]
        columns["basis"] = [row.basis for row in self.predictions]
        columns["residual"] = [f"{row.residual:.4g}" if row.values else "" for row in self.predictions]
        columns["skipped"] = [row.reason for row in self.predictions]
        return columns


_SHORT = ("mape", "median_ape", "p90_ape")


def _score(compared: Sequence[Compared]) -> Score:
    return scored([each.predicted for each in compared], [each.measured for each in compared])


def _group_document(group: Group) -> dict[str, Any]:
    score = asdict(group.score)
    return {
        "device": group.device,
        "op": group.op,
        "dtype": group.dtype,
        "timing": group.timing,
        **score,
        "basis": group.basis,
    }


def _predicted(row: Prediction, name: str) -> str:
    for column, figure in FIGURES.items():
        if figure.predicted == name and column in row.row.figures and figure.metric in row.values:
            return f"{row.values[figure.metric] / figure.scale:.9g}"
    return ""


def validate(
    data: str | Path | None = None,
    devices: Sequence[str] = (),
    *,
    started: Callable[[int], Callable[[int], object]] | None = None,
) -> Validation:
    """Predict every row of measured data.

    Args:
        data: a CSV file, or a folder of them (files without known columns in it are left out); by default the
            reference figures that ship with hwsim.
        devices: only rows of these devices.
        started: told the number of rows, gives what is called with numbers of rows done.

    Raises:
        InputError: no such file, or no rows for these devices.
        FileFormatError: a file that is not a CSV of measurements.
    """
    path = REFERENCE if data is None else Path(data)
    folder = path.is_dir()
    files = [found for each in files_below(path) if (found := read_measured(each, strict=not folder)) is not None]
    rows = sum(len(file.rows) for file in files)
    if not rows:
        wanted = "a CSV names 'device' and 'op', or 'chip' and 'model', and a figure such as 'latency_us'"
        raise InputError(f"{path}: no measured rows; {wanted}")
    predictions = predict(files, devices, advance=started(rows) if started else None)
    if not predictions:
        raise InputError(f"{path}: no rows of {', '.join(devices)}")
    return Validation("reference" if data is None else str(data), predictions)


def families(validation: Validation) -> Iterator[tuple[str, list[Compared]]]:
    """The compared figures by metric, for a picture each."""
    for metric in dict.fromkeys(figure.metric for figure in FIGURES.values()):
        members = [each for each in validation.compared if each.metric == metric]
        if members:
            yield metric, members
