"""Measured rows as the files write them: which column is what is known by its name.

A row names a device (``device`` or ``chip``), what ran on it (``op``, or ``model`` for a whole network, or the sides
of a systolic array) and at least one figure: a time, a throughput, a power, an energy or a count of cycles.
"""

from __future__ import annotations

import codecs
import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from hwsim.errors import FileFormatError, InputError
from hwsim.registry import suggest
from hwsim.units import shown

__all__ = ["FIGURES", "Figure", "MeasuredFile", "Row", "files_below", "read_measured"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured column: the metric, the factor to SI units, and the column that takes the prediction."""

    metric: str
    scale: float
    predicted: str


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "latency_us": Figure("time", 1e-6, "predicted_us"),
        "measured_us": Figure("time", 1e-6, "predicted_us"),
        "latency_ms": Figure("time", 1e-3, "predicted_ms"),
        "latency_s": Figure("time", 1.0, "predicted_s"),
        "throughput_fps": Figure("throughput", 1.0, "predicted_fps"),
        "power_w": Figure("power", 1.0, "predicted_w"),
        "average_power_w": Figure("power", 1.0, "predicted_w"),
        "energy_j": Figure("energy", 1.0, "predicted_j"),
        "energy_j_per_item": Figure("energy", 1.0, "predicted_j"),
        "energy_mj": Figure("energy", 1e-3, "predicted_mj"),
        "compute_cycles": Figure("cycles", 1.0, "predicted_cycles"),
        "reported_total_cycles": Figure("cycles", 1.0, "predicted_cycles"),
    }
)
"""The columns that hold what was measured."""

_SAME: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "device": ("chip", "device"),
        "dtype": ("dtype", "precision"),
        "unit": ("compute_unit",),
        "timing": ("timing", "runtime"),
    }
)
"""Columns of one meaning; the first that a file has counts."""
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file; ``figures`` are {column: value in SI units} of what was measured."""

    line: int
    columns: Mapping[str, str]
    figures: Mapping[str, float]

    def text(self, name: str) -> str:
        """What stands in a column (or the first of those that mean the same), or an empty text."""
        found = next((self.columns[key] for key in _SAME.get(name, (name,)) if key in self.columns), "")
        return found.strip()

    def number(self, name: str, otherwise: int | None = None) -> int:
        """A whole number of a column, of any case; raises InputError where there is none."""
        written = (self.columns.get(name) or self.columns.get(name.upper()) or "").strip()
        if not written and otherwise is not None:
            return otherwise
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not value.is_integer():
            raise InputError(f"no whole number in column '{name}'")
        return int(value)


@dataclass(frozen=True, slots=True)
class MeasuredFile:
    """The rows of a file and the names of its columns."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def files_below(path: Path) -> list[Path]:
    """The CSV file itself, or all those below a folder, in order of their names.

    Raises:
        InputError: there is no such file or folder, or no CSV in it.
    """
    if path.is_dir():
        found = sorted(path.rglob("*.csv"))
        if not found:
            raise InputError(f"{path}: no .csv file in this folder")
        return found
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder of measurements")
    return [path]


def read_measured(path: Path, *, strict: bool = True) -> MeasuredFile | None:
    """The measured rows of a CSV file; None, unless ``strict``, where no column is known.

    Raises:
        FileFormatError: not UTF-8, empty, no column that is known, or a measured value that is no number.
    """
    if path.stat().st_size > _MAX_BYTES:
        raise FileFormatError(f"{path}: larger than {_MAX_BYTES // 2**20} MiB; split it")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = csv.reader(stream, strict=True)
            header = next(lines, None)
            if not header:
                raise FileFormatError(f"{path}:1: the file is empty; write a line of column names first")
            if twice := sorted({name for name in header if name and header.count(name) > 1}):
                raise FileFormatError(f"{path}:1: column {shown(twice[0])} stands twice; keep one")
            measured = [name for name in header if name in FIGURES]
            if not measured or not _describes(header):
                if not strict:
                    return None
                raise FileFormatError(f"{path}:1: {_unknown_header(header, measured)}")
            return MeasuredFile(path, tuple(header), tuple(_rows(path, lines, header, measured)))
    except UnicodeDecodeError as error:
        if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise FileFormatError(f"{path}: the text is UTF-16; save the file as UTF-8") from None
        raise FileFormatError(f"{path}: byte {error.object[error.start]:#04x} is not UTF-8; save it as UTF-8") from None
    except csv.Error as error:
        raise FileFormatError(f"{path}: not a CSV file: {error}") from None


def _describes(header: Sequence[str]) -> bool:
    """Whether a row can name what ran on what."""
    if "array_rows" in header or {"R", "C", "K"} <= set(header):
        return True
    ran = {"op", "model", "measured_us"} & set(header)
    return bool(ran) and bool({"device", "chip"} & set(header))


def _unknown_header(header: Sequence[str], measured: Sequence[str]) -> str:
    for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(header) == 1 and any(part.strip() in FIGURES for part in header[0].split(mark)):
            return f"the columns are separated by {called}; save the file with commas between them"
    if measured:
        return "no columns that say what ran on what; write 'device' and 'op', or 'chip' and 'model'"
    near = [hint for name in header if (hint := suggest(name[:60], FIGURES))]
    wanted = ", ".join(list(FIGURES)[:7])
    return f"no column of measurements, such as {wanted}{near[0] if near else ''}"


def _rows(path: Path, lines: Iterable[list[str]], header: list[str], measured: Sequence[str]) -> Iterator[Row]:
    faults = []
    for number, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        if len(cells) != len(header):
            faults.append(f"{path}:{number}: {len(cells)} values under {len(header)} column names")
            continue
        columns = dict(zip(header, cells, strict=True))
        figures: dict[str, float] = {}
        for name in measured:
            if columns[name].strip():
                value = _positive(columns[name])
                if value is None:
                    faults.append(f"{path}:{number}: {name}: write a number above 0, not {shown(columns[name])}")
                else:
                    figures[name] = value * FIGURES[name].scale
        if not faults:
            yield Row(number, MappingProxyType(columns), MappingProxyType(figures))
    if faults:
        raise FileFormatError(
            "\n".join([*faults[:20], *([f"... and {len(faults) - 20} more"] if len(faults) > 20 else [])])
        )


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0.0 else None
