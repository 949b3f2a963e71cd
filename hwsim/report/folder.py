"""The report folder: everything a run has to say, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwsim.errors import InputError
from hwsim.report.document import result_document, whole_file, write_bytes, write_csv, write_json, write_text
from hwsim.report.energies import plot_energies
from hwsim.report.html import Figure, page
from hwsim.report.plots import picture
from hwsim.report.result import Result
from hwsim.report.roofline import plot_rooflines
from hwsim.report.timeline import plot_timelines
from hwsim.trace.perfetto import write_perfetto

__all__ = ["make_folder", "ops_columns", "write_folder", "write_page", "write_trace"]

_SPANS = 60_000
"""Slices of a trace file, over all its runs; the rest is summed up."""
_LEAST_SPANS = 5_000

_TIMELINE = (
    "Left the whole run, right a closer view. The height of a colour is the share of the time in which operators of "
    "that kind hold the device."
)


def make_folder(folder: Path) -> None:
    """Create a folder; raises InputError where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


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


def write_folder(results: Sequence[Result], folder: Path, *, title: str, seed: int = 0, note: str = "") -> Path:
    """Write result.json, ops.csv, trace.json, timeline.png, roofline.png, energy.png and report.html.

    Raises:
        InputError: the folder or a file in it cannot be written.
    """
    make_folder(folder)
    figures = _figures(results)
    try:
        write_json(result_document(results, seed), folder / "result.json")
        write_csv(ops_columns(results), folder / "ops.csv")
        write_trace(results, folder / "trace.json")
        for name, figure in zip(("timeline.png", "energy.png", "roofline.png"), figures, strict=True):
            write_bytes(figure.png, folder / name)
        write_text(page(title, results, figures, note), folder / "report.html")
    except OSError as error:
        raise _unwritable(folder, error) from None
    return folder


def write_page(results: Sequence[Result], path: Path, *, title: str) -> None:
    """Write report.html alone; raises InputError where that is impossible."""
    try:
        write_text(page(title, results, _figures(results)), path)
    except OSError as error:
        raise _unwritable(path, error) from None


def write_trace(results: Sequence[Result], path: Path) -> None:
    """Write the traces for ui.perfetto.dev; the file appears whole or not at all."""
    limit = max(_LEAST_SPANS, _SPANS // max(1, len(results)))
    with whole_file(path) as part:
        write_perfetto([result.trace for result in results], part, limit=limit)


def _figures(results: Sequence[Result]) -> list[Figure]:
    return [
        Figure(title="What ran when", png=picture(plot_timelines(results)), note=_TIMELINE),
        Figure(title="Where the energy goes", png=picture(plot_energies(results))),
        Figure(title="Roofline", png=picture(plot_rooflines(results))),
    ]


def _unwritable(place: Path, error: OSError) -> InputError:
    return InputError(f"{place}: cannot be written to: {error.strerror or error}; give another place")
