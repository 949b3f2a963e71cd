"""Predicted against measured, as a picture: what lies on the diagonal is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hwsim.report.plots import COLORS, log_ticks, new_axes, tidy, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_parity"]

_BAND = 1.2
_SHOWN = 9
"""Sets with a colour and a name of their own; the rest is of one grey, darker than the band."""
_OTHER = "0.45"
_FEW = 300
"""Up to so many rows, dots are drawn large."""


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
    values = np.concatenate([np.asarray(column, dtype=np.float64) for pair in sets.values() for column in pair])
    size, alpha = (30, 0.8) if len(values) / 2 <= _FEW else (9, 0.5)
    for place, (name, (measured, predicted)) in enumerate(sets.items()):
        color, label = (COLORS[place], name) if place < _SHOWN else (_OTHER, None)
        ax.scatter(measured, predicted, s=size, linewidth=0, alpha=alpha, color=color, label=label, rasterized=True)
    low, high = float(values.min()) / 1.5, float(values.max()) * 1.5
    ends = np.array([low, high])
    ax.fill_between(ends, ends / _BAND, ends * _BAND, color="0.85", zorder=0, linewidth=0)
    ax.plot(ends, ends, color="black", linewidth=0.8, zorder=1)
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), xlabel="measured", ylabel="predicted")
    ax.set_title(title, loc="left")
    for axis in (ax.xaxis, ax.yaxis):
        log_ticks(axis, low, high)
        with_unit(axis, unit)
    if len(sets) > _SHOWN:
        ax.scatter([], [], s=size, linewidth=0, alpha=alpha, color=_OTHER, label=f"{len(sets) - _SHOWN} more")
    ax.legend(frameon=False, loc="upper left", fontsize=8, markerscale=1 if size > 9 else 2)
    ax.grid(visible=True, alpha=0.2)
    tidy(ax)
    return ax
