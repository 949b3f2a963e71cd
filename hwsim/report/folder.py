"""The report folder: everything a run has to say, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import InputError
from hwsim.report.document import result_document, write_csv, write_json, write_text
from hwsim.report.html import page
from hwsim.report.plots import panels, plot_energies, plot_roofline, plot_timeline, save
from hwsim.report.result import Result
from hwsim.trace.perfetto import write_perfetto

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["make_folder", "ops_columns", "write_folder", "write_page"]


def make_folder(folder: Path) -> None:
    """Create a folder; raises InputError where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror}; give another folder") from None


def ops_columns(results: Sequence[Result]) -> dict[str, list[Any]]:
    """The spans of several runs as one table, with their system and variant."""
    merged: dict[str, list[Any]] = {"system": [], "variant": []}
    for result in results:
        columns = result.columns
        count = len(columns["op"])
        merged["system"] += [result.system.name] * count
        merged["variant"] += [result.variant] * count
        for name, values in columns.items():
            merged.setdefault(name, []).extend(values)
    return merged


def write_folder(results: Sequence[Result], folder: Path, *, title: str, seed: int = 0) -> Path:
    """Write result.json, ops.csv, trace.json, timeline.png, roofline.png, energy.png and report.html.

    Raises:
        InputError: the folder cannot be made.
    """
    make_folder(folder)
    write_json(result_document(results, seed), folder / "result.json")
    write_csv(ops_columns(results), folder / "ops.csv")
    write_perfetto([result.trace for result in results], folder / "trace.json", limit=20000)
    figures = _figures(results)
    for (ax, _), name in zip(figures, ("timeline.png", "energy.png", "roofline.png"), strict=True):
        save(ax, folder / name)
    write_text(page(title, results, figures), folder / "report.html")
    return folder


def write_page(results: Sequence[Result], path: Path, *, title: str) -> None:
    """Write report.html alone."""
    write_text(page(title, results, _figures(results)), path)


def _figures(results: Sequence[Result]) -> list[tuple[Axes, str]]:
    return [
        (panels(results, plot_timeline, 11.0, 2.6), "What ran when"),
        (plot_energies(results), "Where the energy goes"),
        (panels(results, plot_roofline, 8.5, 5.0), "Roofline"),
    ]
