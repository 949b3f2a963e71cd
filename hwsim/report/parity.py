"""Predicted against measured, as a picture: what lies on the diagonal is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.report.plots import cause_colors, new_axes, tidy, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_parity"]

_BAND = 1.2
_SHOWN = 9
"""Sets with a colour and a name of their own; the rest is grey."""


def plot_parity(
    sets: Mapping[str, tuple[Sequence[float], Sequence[float]]], unit: str, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Measured along, predicted up, on logarithmic axes; the grey band is 20 % to either side.

    Args:
        sets: (measured, predicted) in SI units by the name of the legend.
        unit: of both axes.
        ax: where to draw.
        title: stands above.
    """
    ax = ax if ax is not None else new_axes(7.0, 6.4)
    colors = cause_colors(list(sets))
    for place, (name, (measured, predicted)) in enumerate(sets.items()):
        label = name if place < _SHOWN else None
        ax.scatter(measured, predicted, s=9, linewidth=0, alpha=0.5, color=colors[name], label=label, rasterized=True)
    values = np.concatenate([np.asarray(column, dtype=np.float64) for pair in sets.values() for column in pair])
    low, high = float(values.min()) / 1.5, float(values.max()) * 1.5
    ends = np.array([low, high])
    ax.fill_between(ends, ends / _BAND, ends * _BAND, color="0.85", zorder=0, linewidth=0)
    ax.plot(ends, ends, color="black", linewidth=0.8, zorder=1)
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel="measured", ylabel="predicted")
    ax.set_title(title, loc="left")
    for axis in (ax.xaxis, ax.yaxis):
        with_unit(axis, unit)
    if len(sets) > _SHOWN:
        ax.scatter([], [], s=9, color="0.7", label=f"{len(sets) - _SHOWN} more")
    ax.legend(frameon=False, loc="upper left", fontsize=8, markerscale=2)
    ax.grid(visible=True, alpha=0.2)
    tidy(ax)
    return ax
