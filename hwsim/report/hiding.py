"""How warps hide latency: throughput of a stepped multiprocessor against the formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwsim.report.plots import COLORS, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_hiding"]


def plot_hiding(
    warps: Sequence[int], stepped: Sequence[float], formula: Sequence[float], ax: Axes | None = None, *, what: str = ""
) -> Axes:
    """Throughput as a share of the peak over resident warps: points stepped, a line from the formula."""
    ax = ax if ax is not None else new_axes(7.5, 3.8)
    ax.plot(warps, formula, color=COLORS[1], linewidth=1.5, label="formula")
    ax.plot(warps, stepped, "o", color=COLORS[0], markersize=6, label="stepped")
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(warps), labels=[str(count) for count in warps])
    ax.set_ylim(0.0, 1.08)
    ax.set_xlabel("resident warps")
    ax.set_ylabel("share of the peak")
    ax.set_title(what, loc="left")
    ax.legend(frameon=False)
    ax.grid(visible=True, alpha=0.2)
    tidy(ax)
    return ax
