"""Where the energy goes, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.report.figures import shortened
from hwsim.report.plots import cause_colors, grid, key, legend_below, new_axes, tidy, with_unit
from hwsim.report.result import Result
from hwsim.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_energies", "plot_energy"]

_CAUSES = cause_colors(("compute", "memory", "link", "active", "static"))

_DARK = ("compute", "link")
"""Causes whose colour takes white text."""


def plot_energy(result: Result, ax: Axes | None = None) -> Axes:
    """Joules by cause, one bar."""
    ax = ax if ax is not None else new_axes(8.5, 2.0)
    _bars([result], ax)
    ax.set_title(f"{result.graph.name}: where the energy goes", loc="left", fontsize=10)
    ax.legend(handles=_entries([result]), fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_energies(results: Sequence[Result]) -> Axes:
    """Joules by cause, one bar a run, and the shares beside it."""
    axes = grid(1, 2, 12.0, [1.5 + 0.45 * len(results)], (3.0, 2.0))
    joules, shares = axes[0]
    _bars(results, joules)
    item = f" per {results[0].graph.item}" if _per_item(results) else ""
    joules.set_title(f"Energy{item} by cause", loc="left", fontsize=10)
    _shares(results, shares)
    shares.set_title("Shares", loc="left", fontsize=10)
    legend_below(joules, _entries(results))
    first: Axes = joules
    return first


def _entries(results: Sequence[Result]) -> list[object]:
    met = {cause for result in results for cause, value in result.energy_breakdown_j.items() if value > 0.0}
    return [key(color, cause) for cause, color in _CAUSES.items() if cause in met]


def _per_item(results: Sequence[Result]) -> bool:
    """Runs that make different numbers of items are compared item by item."""
    return len({result.items for result in results}) > 1


def _bars(results: Sequence[Result], ax: Axes) -> None:
    left = np.zeros(len(results))
    items = [result.items if _per_item(results) else 1 for result in results]
    for cause, color in _CAUSES.items():
        values = np.array([result.energy_breakdown_j[cause] / n for result, n in zip(results, items, strict=True)])
        ax.barh(range(len(results)), values, left=left, color=color, height=0.62)
        left += values
    for place, total in enumerate(left.tolist()):
        ax.text(total, place, f" {format_quantity(total, 'J', 3)}", va="center", fontsize=8.5)
    labels = [shortened(result.label, 48) for result in results]
    ax.set_yticks(range(len(results)), labels, fontsize=9)
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlim(0.0, float(left.max(initial=0.0)) * 1.12 or 1.0)
    with_unit(ax.xaxis, "J")
    ax.tick_params(axis="x", labelsize=8)
    tidy(ax)


def _shares(results: Sequence[Result], ax: Axes) -> None:
    """Bars of equal length; shares of at least 6 % are written in."""
    left = np.zeros(len(results))
    for cause, color in _CAUSES.items():
        values = np.array([_share(result, cause) for result in results])
        ax.barh(range(len(results)), values, left=left, color=color, height=0.62)
        for place, (start, value) in enumerate(zip(left.tolist(), values.tolist(), strict=True)):
            if value >= 6.0:
                text = f"{value:.0f} %"
                ink = "white" if cause in _DARK else "#222222"
                ax.text(start + value / 2, place, text, ha="center", va="center", fontsize=8, color=ink)
        left += values
    ax.set_yticks([])
    ax.set_ylim(len(results) - 0.5, -0.5)
    ax.set_xlim(0.0, 100.0)
    ax.set_xlabel("per cent of the run's energy", fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    tidy(ax)


def _share(result: Result, cause: str) -> float:
    total = result.energy_j
    return 100.0 * result.energy_breakdown_j[cause] / total if total else 0.0
