"""Pictures; the only module that knows matplotlib.

Every function draws on the axes given, or on new ones, and returns them; none shows or saves.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.specs.scenario import METRICS
from hwsim.units import base_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "COLORS",
    "OTHER",
    "cause_colors",
    "grid",
    "key",
    "legend_below",
    "line",
    "log_ticks",
    "movie",
    "new_axes",
    "picture",
    "plot_comparison",
    "plot_pareto",
    "tidy",
    "with_unit",
]

COLORS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#EE8866", "#44BB99", "#994455", "#004488")
"""Tol, "Colour schemes", 2021: the bright scheme and more, safe for colour-blind readers."""
OTHER = "#BBBBBB"

_SHARES = ("utilization", "memory_utilization", "busy")


def cause_colors(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, in order; grey for those beyond the palette."""
    return {name: COLORS[i] if i < len(COLORS) else OTHER for i, name in enumerate(names)}


def new_axes(width: float = 9.0, height: float = 4.5) -> Axes:
    """Axes of a figure of its own, without touching any global state."""
    first: Axes = grid(1, 1, width, [height])[0, 0]
    return first


def grid(rows: int, columns: int, width: float, heights: Sequence[float], widths: Sequence[float] = ()) -> Any:
    """Axes of a figure of its own, shape (rows, columns); heights in inches, widths relative."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = {"height_ratios": list(heights), "width_ratios": list(widths) or [1.0] * columns}
    return figure.subplots(rows, columns, squeeze=False, gridspec_kw=ratios)


def picture(ax: Axes) -> bytes:
    """The figure of some axes as PNG; the same axes give the same bytes."""
    buffer = io.BytesIO()
    figure: Any = ax.figure
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()


def movie(ax: Axes, draw: Callable[[int], Any], frames: int, frame_s: float) -> str:
    """HTML with controls that plays what ``draw`` makes of the axes for each frame."""
    from matplotlib.animation import FuncAnimation

    figure: Any = ax.figure
    playing = FuncAnimation(figure, lambda frame: [draw(frame)], frames=frames, interval=1e3 * frame_s, blit=False)
    page: str = playing.to_jshtml(fps=max(1, round(1.0 / frame_s)), default_mode="once")
    return page


def key(color: str, label: str) -> Any:
    """One entry of a legend: a patch of that colour."""
    from matplotlib.patches import Patch

    return Patch(color=color, label=label)


def legend_below(ax: Axes, entries: Sequence[Any], columns: int = 6) -> None:
    """A legend under the whole figure."""
    figure: Any = ax.figure
    figure.legend(handles=list(entries), loc="outside lower left", ncols=columns, frameon=False, fontsize=9)


def with_unit(axis: Any, unit: str, largest: float = 0.0) -> None:
    """Label the ticks of an axis with a unit and a fitting prefix; thousands of seconds stay seconds."""
    from matplotlib.ticker import EngFormatter, StrMethodFormatter

    thousands = unit == "s" and largest >= 1000.0
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f} s") if thousands else EngFormatter(unit=unit))


def log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks of a logarithmic axis from ``low`` to ``high``: at 1, 2 and 5 of each decade where there are few."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
    axis.set_minor_formatter(NullFormatter())


def line(color: str, label: str) -> Any:
    """One entry of a legend: a line of that colour."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, label=label, linewidth=1.5)


def tidy(ax: Axes) -> None:
    """Leave out the frame's upper and right line."""
    ax.spines[["top", "right"]].set_visible(False)


def plot_comparison(columns: Mapping[str, Sequence[Any]], ax: Axes | None = None) -> Axes:
    """Latency and energy an item of each device, on logarithmic axes."""
    ax = ax if ax is not None else new_axes(8.0, 5.0)
    for i, name in enumerate(columns["device"]):
        x, y = columns["latency_s"][i], columns["energy_per_item_j"][i]
        ax.scatter(x, y, s=70, color=COLORS[i % len(COLORS)])
        ax.annotate(name, (x, y), textcoords="offset points", xytext=(7, 4), fontsize=9)
    ax.set(xscale="log", yscale="log", xlabel="latency", ylabel="energy an item")
    ax.margins(0.2)
    for axis, metric, unit in ((ax.xaxis, "latency_s", "s"), (ax.yaxis, "energy_per_item_j", "J")):
        log_ticks(axis, min(columns[metric]), max(columns[metric]))
        with_unit(axis, unit)
    ax.set_title("lower left is better", loc="left")
    ax.grid(visible=True, alpha=0.2)
    tidy(ax)
    return ax


def plot_pareto(
    columns: Mapping[str, Sequence[Any]],
    front: Mapping[str, Sequence[Any]],
    objectives: Sequence[tuple[str, str]],
    ax: Axes | None = None,
    *,
    title: str = "",
    labels: Sequence[str] = (),
    note: str = "",
) -> Axes:
    """All designs in the plane of the first two objectives, coloured by energy, and the front as a staircase.

    Args:
        columns: figures by metric, one entry a design.
        front: the same of the designs on the front, in the order of the first objective.
        objectives: (metric, min or max); energy, or latency, takes the place of a second one.
        ax: where to draw.
        title: stands above.
        labels: what each design of the front is; three of them are written beside it.
        note: stands under the title.
    """
    ax = ax if ax is not None else new_axes(8.5, 5.5)
    other = ("latency_s" if objectives[0][0] == "energy_j" else "energy_j", "min")
    (x, first), (y, second) = (*objectives, other)[:2]
    style: dict[str, Any] = (
        {} if "energy_j" in (x, y) else {"c": np.asarray(columns["energy_j"]), "cmap": "viridis", "norm": "log"}
    )
    dots = ax.scatter(columns[x], columns[y], s=9, linewidth=0, **(style or {"color": OTHER}))
    if style and ax.figure is not None:
        _energy_bar(ax, dots)
    step = "steps-post" if first == "min" else "steps-pre"
    ax.plot(front[x], front[y], color="black", linewidth=1.0, drawstyle=step)
    ax.plot(front[x], front[y], "o", color=COLORS[1], markeredgecolor="black", markersize=6, label="Pareto front")
    ax.plot([], [], "o", color="0.5", markersize=3, label=f"{len(columns[x]):,} designs")
    _scale_of_metric(ax, "x", columns[x], x, first)
    _scale_of_metric(ax, "y", columns[y], y, second)
    for place in sorted({0, len(labels) // 2, len(labels) - 1}) if labels else ():
        _note_design(ax, labels[place], (front[x][place], front[y][place]))
    ax.set_title(f"{title}\n" if note else title, loc="left", fontweight="bold")
    ax.text(0.0, 1.012, note, transform=ax.transAxes, fontsize=9, color="0.35")
    ax.legend(frameon=False, loc="best")
    ax.grid(visible=True, alpha=0.2)
    tidy(ax)
    return ax


def _energy_bar(ax: Axes, dots: Any) -> None:
    """The scale of the colours."""
    bar = ax.figure.colorbar(dots, ax=ax, pad=0.01)
    log_ticks(bar.ax.yaxis, *dots.get_clim())
    bar.ax.yaxis.set_major_formatter(_engineering("energy_j"))
    bar.set_label("energy")
    bar.outline.set_visible(False)


def _engineering(metric: str) -> Any:
    """Numbers of a metric with its unit and a prefix; shares in per cent."""
    from matplotlib.ticker import EngFormatter, FuncFormatter

    if metric in _SHARES:
        return FuncFormatter(lambda share, _: f"{100.0 * share:.3g} %")
    dimension = METRICS.get(metric, "")
    return EngFormatter(unit=base_unit(dimension) if dimension else "", places=None)


def _scale_of_metric(ax: Axes, which: str, values: Sequence[float], metric: str, way: str) -> None:
    """Label the x or the y axis; logarithmic where the values span more than a factor of three."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = min(values, default=0.0), max(values, default=0.0)
    if 0.0 < 3.0 * low < high:
        ax.set(**{f"{which}scale": "log"})
        log_ticks(axis, low, high)
    axis.set_major_formatter(_engineering(metric))
    words = metric.rsplit("_", 1)[0] if METRICS.get(metric) else metric
    axis.set_label_text(f"{words.replace('_', ' ')} ({'lower' if way == 'min' else 'higher'} is better)")


def _note_design(ax: Axes, text: str, at: tuple[float, float]) -> None:
    """A small note with a line to a design, towards the middle of the picture."""
    x, y = ax.transAxes.inverted().transform(ax.transData.transform(at))
    ax.annotate(
        text,
        at,
        xytext=(20 if x < 0.6 else -20, -16 if y > 0.3 else 16),
        textcoords="offset points",
        ha="left" if x < 0.6 else "right",
        va="center",
        fontsize=8,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "0.6", "alpha": 0.9},
        arrowprops={"arrowstyle": "-", "color": "0.3"},
    )
