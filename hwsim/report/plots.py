"""Pictures; the only module that knows matplotlib.

Every function draws on the axes given, or on new ones, and returns them; none shows or saves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.devices.base import BOUNDS, KINDS
from hwsim.report.result import Result
from hwsim.specs.scenario import METRICS
from hwsim.units import base_unit, format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "new_axes",
    "panels",
    "plot_comparison",
    "plot_energy",
    "plot_pareto",
    "plot_roofline",
    "plot_timeline",
    "save",
]

_COLORS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB", "#994455", "#997700", "#004488")
"""Tol, "Colour schemes", 2021: the bright scheme, safe for colour-blind readers."""


_SHARES = ("utilization", "memory_utilization", "busy", "miss_rate")


def new_axes(width: float = 9.0, height: float = 4.5) -> Axes:
    """Axes of a figure of its own, without touching any global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def panels(results: Sequence[Result], draw: Callable[..., Axes], width: float, height: float) -> Axes:
    """One panel a run, one under the other; returns the first panel's axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * max(1, len(results))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(max(1, len(results)), 1, squeeze=False)[:, 0]
    for result, ax in zip(results, axes, strict=False):
        draw(result, ax)
    first: Axes = axes[0]
    return first


def save(ax: Axes, path: Any) -> None:
    """Write the figure of some axes as PNG."""
    ax.figure.savefig(path, dpi=130, metadata={"Software": None})


def _tidy(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)


def plot_timeline(result: Result, ax: Axes | None = None, most: int = 20_000) -> Axes:
    """What ran when: a lane a device, colours by operator kind, repeats drawn as blocks of their phase."""
    ax = ax if ax is not None else new_axes(11.0, 1.6 + 0.7 * len(result.system.devices))
    roles = list(result.system.devices)
    spent = _seconds_by_kind(result)
    shown = sorted(spent, key=lambda k: -spent[k])[: len(_COLORS) - 1]
    colors = {kind: _COLORS[i] for i, kind in enumerate(shown)}
    scale, unit = _time_scale(result.latency_s)
    drawn = 0
    for record in result.records:
        drawn += _draw_record(ax, record, colors, scale, most - drawn)
    ax.set_yticks(range(len(roles)), roles)
    ax.set_ylim(len(roles) - 0.4, -0.75)
    ax.set_xlim(0.0, result.latency_s * scale)
    ax.set_xlabel(f"time ({unit})")
    ax.set_title(f"{result.graph.name} on {result.system.name}: {format_quantity(result.latency_s, 's')}", loc="left")
    handles = [_patch(colors[kind], kind) for kind in shown]
    if len(spent) > len(shown):
        handles.append(_patch(_COLORS[-1], "others"))
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    _tidy(ax)
    return ax


def _patch(color: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=color, label=label)


def _seconds_by_kind(result: Result) -> dict[str, float]:
    spent: dict[str, float] = {}
    for record in result.records:
        took = (record.end_ps - record.start_ps) * 1e-12 * record.repeats
        for i in np.flatnonzero(record.device >= 0).tolist():
            spent[record.kinds[i]] = spent.get(record.kinds[i], 0.0) + float(took[i])
    return spent


def _time_scale(latency_s: float) -> tuple[float, str]:
    for scale, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if latency_s * scale >= 2.0:
            return scale, unit
    return 1e9, "ns"


def _draw_record(ax: Axes, record: Any, colors: Mapping[str, str], scale: float, room: int) -> int:
    """Spans of the first repeats while there is room, then one pale block for the rest; returns spans drawn."""
    active = np.flatnonzero(record.device >= 0)
    turns = max(0, min(record.repeats, room // max(1, len(active))))
    for device in np.unique(record.device[active]).tolist():
        mine = active[record.device[active] == device]
        kinds = [colors.get(record.kinds[i], _COLORS[-1]) for i in mine.tolist()]
        for turn in range(turns):
            offset = record.offset_ps + turn * record.period_ps
            starts = (record.start_ps[mine] + offset) * 1e-12 * scale
            widths = (record.end_ps[mine] - record.start_ps[mine]) * 1e-12 * scale
            ax.broken_barh(list(zip(starts, widths, strict=True)), (device - 0.3, 0.6), facecolors=kinds, linewidth=0)
        if turns < record.repeats:
            start = (record.offset_ps + turns * record.period_ps) * 1e-12 * scale
            width = (record.repeats - turns) * record.period_ps * 1e-12 * scale
            ax.broken_barh([(start, width)], (device - 0.3, 0.6), facecolors="#DDDDDD", hatch="//", edgecolor="#AAAAAA")
    if record.index == 0:
        start = record.offset_ps * 1e-12 * scale
        ax.axvline(start, color="#888888", linewidth=0.6, linestyle=":")
        label = record.phase if record.repeats == 1 else f"{record.phase} x{record.repeats}"
        ax.text(start, -0.42, f" {label}", fontsize=8, color="#555555", va="bottom", clip_on=True)
    return turns * len(active)


def plot_roofline(result: Result, ax: Axes | None = None) -> Axes:
    """Every operator in the roofline of its device: size is time, colour is what bounds it.

    Williams, Waterman, Patterson, "Roofline", CACM 2009. The roof is the peak of the run's number format.
    """
    ax = ax if ax is not None else new_axes(8.5, 5.0)
    points = _roofline_points(result)
    lowest = min((p[0] for p in points), default=0.1)
    highest = max((p[0] for p in points), default=1000.0)
    x = np.geomspace(max(lowest / 3.0, 1e-3), highest * 3.0, 200)
    total = sum(p[2] for p in points) or 1.0
    for index, spec in enumerate(dict.fromkeys(result.system.devices.values())):
        peak = _peak(spec, result.dtype)
        bandwidth = spec.main_memory.bandwidth_bytes_per_s
        label = f"{spec.name}: {format_quantity(peak, 'FLOP/s', 3)}, {format_quantity(bandwidth, 'B/s', 3)}"
        ax.plot(x, np.minimum(peak, bandwidth * x), color=_COLORS[index + 3], linewidth=1.6, label=label)
    for code, name in enumerate(BOUNDS):
        mine = [p for p in points if p[3] == code]
        if mine:
            sizes = [12.0 + 900.0 * p[2] / total for p in mine]
            ax.scatter(
                [p[0] for p in mine],
                [p[1] for p in mine],
                s=sizes,
                color=_COLORS[code],
                alpha=0.55,
                linewidth=0,
                label=f"{name}-bound",
            )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("arithmetic intensity (FLOP per byte of main memory)")
    ax.set_ylabel("achieved FLOP/s")
    ax.set_title(f"{result.graph.name} on {result.system.name}, {result.dtype}", loc="left")
    legend = ax.legend(fontsize=8, frameon=False, loc="lower right")
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([40.0])
    ax.grid(visible=True, which="major", alpha=0.25)
    _tidy(ax)
    return ax


def _peak(spec: Any, dtype: str) -> float:
    """Peak of the format a scheme multiplies in, or the device's highest."""
    from hwsim.graph.tensor import scheme

    peaks = KINDS[spec.kind].peaks(spec)
    found = peaks.get(scheme(dtype).matrix, 0.0)
    finite = [p for p in peaks.values() if np.isfinite(p)]
    return found if found > 0 and np.isfinite(found) else max(finite, default=1e15)


def _roofline_points(result: Result) -> list[tuple[float, float, float, int]]:
    """(intensity, achieved FLOP/s, seconds, bound) of every distinct operator that computes."""
    points: dict[tuple[float, float, int], float] = {}
    for record in result.records:
        c = record.columns
        took = (record.end_ps - record.start_ps) * 1e-12
        for i in np.flatnonzero((record.device >= 0) & (c.flop > 0) & (took > 0) & (c.dram_bytes > 0)).tolist():
            key = (float(c.flop[i] / c.dram_bytes[i]), float(c.flop[i] / took[i]), int(c.bound[i]))
            points[key] = points.get(key, 0.0) + float(took[i]) * record.repeats
    return [(x, y, seconds, bound) for (x, y, bound), seconds in points.items()]


def plot_energy(result: Result, ax: Axes | None = None) -> Axes:
    """Joules by cause, one bar."""
    return plot_energies([result], ax)


def plot_energies(results: Sequence[Result], ax: Axes | None = None) -> Axes:
    """Joules by cause, one bar a run."""
    ax = ax if ax is not None else new_axes(8.5, 1.5 + 0.55 * len(results))
    labels = [f"{r.system.name} {r.variant}".strip() for r in results]
    left = np.zeros(len(results))
    for index, name in enumerate(("compute", "memory", "link", "active", "static")):
        values = np.array([r.energy_breakdown_j[name] for r in results])
        if values.any():
            ax.barh(range(len(results)), values, left=left, color=_COLORS[index], label=name, height=0.6)
        left += values
    for i, total in enumerate(left.tolist()):
        ax.text(total, i, f" {format_quantity(total, 'J', 3)}", va="center", fontsize=8)
    ax.set_yticks(range(len(results)), labels)
    ax.invert_yaxis()
    ax.set_xlim(0.0, float(left.max(initial=0.0)) * 1.15 or 1.0)
    ax.set_xlabel("energy (J)")
    ax.set_title(f"{results[0].graph.name}: where the energy goes" if results else "energy", loc="left")
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _tidy(ax)
    return ax


def plot_comparison(columns: Mapping[str, Sequence[Any]], ax: Axes | None = None) -> Axes:
    """Latency and energy an item of each device, on logarithmic axes."""
    ax = ax if ax is not None else new_axes(8.0, 5.0)
    for i, name in enumerate(columns["device"]):
        x, y = columns["latency_s"][i], columns["energy_per_item_j"][i]
        ax.scatter(x, y, s=70, color=_COLORS[i % len(_COLORS)])
        ax.annotate(name, (x, y), textcoords="offset points", xytext=(7, 4), fontsize=9)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.margins(0.2)
    ax.set_xlabel("latency (s)")
    ax.set_ylabel("energy an item (J)")
    ax.set_title("lower left is better", loc="left")
    ax.grid(visible=True, which="both", alpha=0.2)
    _tidy(ax)
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
    dots = ax.scatter(columns[x], columns[y], s=9, linewidth=0, **(style or {"color": _COLORS[6]}))
    if style and ax.figure is not None:
        _energy_bar(ax, dots)
    step = "steps-post" if first == "min" else "steps-pre"
    ax.plot(front[x], front[y], color="black", linewidth=1.0, drawstyle=step)
    ax.plot(front[x], front[y], "o", color=_COLORS[1], markeredgecolor="black", markersize=6, label="Pareto front")
    ax.plot([], [], "o", color="0.5", markersize=3, label=f"{len(columns[x]):,} designs")
    _scale_of_metric(ax, "x", columns[x], x, first)
    _scale_of_metric(ax, "y", columns[y], y, second)
    for place in sorted({0, len(labels) // 2, len(labels) - 1}) if labels else ():
        _note_design(ax, labels[place], (front[x][place], front[y][place]))
    ax.set_title(f"{title}\n" if note else title, loc="left", fontweight="bold")
    ax.text(0.0, 1.012, note, transform=ax.transAxes, fontsize=9, color="0.35")
    ax.legend(frameon=False, loc="best")
    ax.grid(visible=True, alpha=0.2)
    _tidy(ax)
    return ax


def _energy_bar(ax: Axes, dots: Any) -> None:
    """The scale of the colours."""
    from matplotlib.ticker import LogLocator

    bar = ax.figure.colorbar(dots, ax=ax, pad=0.01)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(_engineering("energy_j"))
    bar.ax.yaxis.set_minor_formatter("")
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
    from matplotlib.ticker import LogLocator, NullFormatter

    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = min(values, default=0.0), max(values, default=0.0)
    if 0.0 < 3.0 * low < high:
        ax.set(**{f"{which}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())
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
