"""What ran when, as a picture: lanes for devices and links, colours for operator kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hwsim.report.figures import seconds, shortened
from hwsim.report.occupied import TRANSFER, Lane, kinds_by_time, lanes, occupied, phases, typical
from hwsim.report.plots import OTHER, cause_colors, grid, key, legend_below, new_axes, tidy, with_unit
from hwsim.report.result import Result
from hwsim.trace.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_timeline", "plot_timelines"]

Array = NDArray[np.float64]
Colors = Mapping[str, str]

_BINS = 900
_KINDS = 9
"""Kinds with a colour of their own."""
_STRIP = ("#DDE3EA", "#C7D0DB")
_SPANS = 60
"""Spans of the closer view."""


def plot_timeline(result: Result, ax: Axes | None = None) -> Axes:
    """The whole run: the height of a colour is the share of the time in which that kind holds the lane."""
    shown = lanes(result)
    ax = ax if ax is not None else new_axes(11.0, 1.5 + 0.6 * len(shown))
    colors = _colors([result])
    _draw(result, ax, colors, shown, width_in=6.5)
    ax.legend(handles=_entries(colors), loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)
    return ax


def plot_timelines(results: Sequence[Result]) -> Axes:
    """A row a run: the whole of it, and a closer view of the phase that takes longest."""
    heights = [1.15 + 0.42 * len(lanes(result)) for result in results]
    heights[-1] += 0.3
    axes = grid(len(results), 2, 13.0, heights, (3.0, 2.0))
    colors = _colors(results)
    for result, (whole, close) in zip(results, axes, strict=True):
        shown = lanes(result)
        _draw(result, whole, colors, shown, width_in=6.3)
        _draw_close(result, close, colors, shown)
    first: Axes = axes[0, 0]
    legend_below(first, _entries(colors), columns=10)
    return first


def _colors(results: Sequence[Result]) -> Colors:
    kinds = kinds_by_time(results)
    colors = cause_colors(kinds[:_KINDS])
    return colors | ({"others": OTHER} if len(kinds) > _KINDS else {}) | _links(results)


def _links(results: Sequence[Result]) -> dict[str, str]:
    return {TRANSFER: "#222222"} if any(lane.is_link for result in results for lane in lanes(result)) else {}


def _entries(colors: Colors) -> list[Any]:
    return [key(color, name) for name, color in colors.items()]


def _draw(result: Result, ax: Axes, colors: Colors, shown: Sequence[Lane], width_in: float) -> None:
    edges = np.linspace(0.0, max(result.latency_s, 1e-12), _BINS + 1)
    for place, lane in enumerate(shown):
        _fill(ax, place, occupied(result.records, lane, edges), colors, edges)
    small = _label_phases(result, ax, len(shown), width_in)
    _frame(ax, shown, float(edges[0]), float(edges[-1]))
    name = shortened(f"{result.graph.name} on {result.label}", 70)
    ax.set_title(f"{name}: {seconds(result.latency_s)}", loc="left", fontsize=10)
    if small:
        ax.set_title(f"also {', '.join(small)}", loc="right", fontsize=7.5, color="0.4")


def _fill(ax: Axes, place: int, held: Mapping[str, Array], colors: Colors, edges: Array) -> None:
    """Stack the shares of the kinds from the bottom of the lane."""
    ax.axhspan(place - 0.38, place + 0.38, color="#F1F2F4", linewidth=0, zorder=0)
    known = {kind: held[kind] for kind in colors if kind in held}
    rest = [share for kind, share in held.items() if kind not in colors]
    if rest:
        known["others"] = np.sum(rest, axis=0)
    top = np.zeros(len(edges))
    for kind, share in known.items():
        bottom, top = top, top + np.append(share, share[-1])
        low, high = (place + 0.38 - 0.76 * np.clip(level, 0.0, 1.0) for level in (bottom, top))
        ax.fill_between(edges, low, high, step="post", color=colors.get(kind, OTHER), linewidth=0, zorder=2)


def _label_phases(result: Result, ax: Axes, count: int, width_in: float) -> list[str]:
    """A strip that names the phases; returns what is too narrow to be named there."""
    small = []
    total = max(result.latency_s, 1e-30)
    for number, phase in enumerate(phases(result)):
        length = phase.end_s - phase.start_s
        label = phase.name if phase.repeats == 1 else f"{phase.name} x{phase.repeats:,}"
        ax.broken_barh([(phase.start_s, length)], (-0.86, 0.32), facecolors=_STRIP[number % 2], linewidth=0)
        if length / total * width_in > 0.075 * len(label) + 0.1:
            middle = phase.start_s + length / 2
            ax.text(middle, -0.69, label, fontsize=8, color="#333333", ha="center", va="center", clip_on=True)
        else:
            small.append(f"{label}: {seconds(length)}")
        if 1 < phase.repeats <= 120 and length / total * width_in > 0.06 * phase.repeats:
            starts = np.linspace(phase.start_s, phase.end_s, phase.repeats + 1)[1:-1]
            ax.vlines(starts, -0.38, count - 0.62, color="white", linewidth=0.5, zorder=3)
    return small


def _draw_close(result: Result, ax: Axes, colors: Colors, shown: Sequence[Lane]) -> None:
    """About sixty operators in the middle of the phase that takes longest, named where there is room."""
    record = typical(result)
    start, end = _window(record)
    begin = record.offset_ps * 1e-12 + start
    edges = np.linspace(0.0, end - start, _BINS + 1)
    for place, lane in enumerate(shown):
        _fill(ax, place, occupied([record], lane, edges + begin), colors, edges)
        if not lane.is_link:
            _part_spans(ax, place, record, lane, (start, end))
    _frame(ax, shown, 0.0, end - start)
    ax.set_yticks([])
    whole = len(result.records) == 1 and end - start > 0.99 * result.latency_s
    where = (
        "operator by operator" if whole else f"closer: {seconds(end - start)} of {record.phase}, from {seconds(begin)}"
    )
    ax.set_title(where, loc="left", fontsize=10)


def _window(record: Record) -> tuple[float, float]:
    """Start and end, within a repeat, of some operators in its middle."""
    ran = np.flatnonzero((record.device >= 0) & (record.end_ps > record.start_ps))
    if not len(ran):
        return 0.0, max(record.period_ps * 1e-12, 1e-12)
    order = ran[np.argsort(record.start_ps[ran], kind="stable")]
    first = max(0, (len(order) - _SPANS) // 2)
    chosen = order[first : first + _SPANS]
    return float(record.start_ps[chosen].min()) * 1e-12, float(record.end_ps[chosen].max()) * 1e-12


def _part_spans(ax: Axes, place: int, record: Record, lane: Lane, window: tuple[float, float]) -> None:
    """Thin lines between equal operators that follow each other, and kinds where there is room."""
    length = window[1] - window[0]
    before = ""
    mine = np.flatnonzero((record.device == lane.index) & (record.end_ps > record.start_ps))
    for i in mine[np.argsort(record.start_ps[mine], kind="stable")].tolist():
        start = max(record.start_ps[i] * 1e-12, window[0]) - window[0]
        end = min(record.end_ps[i] * 1e-12, window[1]) - window[0]
        if record.kinds[i] == before and end - start > 0.01 * length:
            ax.vlines(start, place - 0.38, place + 0.38, color="white", linewidth=0.6, zorder=3)
        before = record.kinds[i]
        if (end - start) / length * 4.2 > 0.075 * len(record.kinds[i]):
            style: dict[str, Any] = {"fontsize": 7.5, "color": "white", "ha": "center", "va": "center", "zorder": 4}
            ax.text((start + end) / 2, place, record.kinds[i], **style)


def _frame(ax: Axes, shown: Sequence[Lane], start: float, end: float) -> None:
    ax.set_yticks(range(len(shown)), [lane.label for lane in shown], fontsize=9)
    ax.set_ylim(len(shown) - 0.5, -0.9)
    ax.set_xlim(start, end)
    with_unit(ax.xaxis, "s", end)
    ax.tick_params(axis="x", labelsize=8)
    ax.tick_params(axis="y", length=0)
    tidy(ax)
    ax.spines["left"].set_visible(False)
