"""Operators under the roofs of their devices, as a picture.

Williams, Waterman, Patterson, "Roofline: an insightful visual performance model for multicore architectures",
CACM 52(4), 2009. The flat roof is the derived peak of the run's number format, the slope the main memory's bandwidth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.devices.base import BOUNDS, KINDS
from hwsim.graph.tensor import scheme
from hwsim.report.figures import shortened
from hwsim.report.plots import COLORS, grid, key, legend_below, line, new_axes, tidy, with_unit
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec
from hwsim.units import format_quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Point", "plot_roofline", "plot_rooflines", "points"]

_BOUND_COLORS = dict(zip(BOUNDS, (COLORS[0], COLORS[1], COLORS[3], COLORS[2]), strict=True))
_ROOFS = ("#222222", "#777777", "#AAAAAA", "#666644")
_NAMED = 4
"""Points that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Equal operators: operations per byte of main memory, achieved operations per second, seconds in all."""

    kind: str
    intensity_flop_per_byte: float
    flop_per_s: float
    time_s: float
    bound: str


def points(result: Result) -> list[Point]:
    """All distinct operators that compute and move bytes, the longest first."""
    spent: dict[tuple[str, float, float, str], float] = {}
    for record in result.records:
        c = record.columns
        took = (record.end_ps - record.start_ps) * 1e-12
        chosen = np.flatnonzero((record.device >= 0) & (c.flop > 0) & (took > 0) & (c.dram_bytes > 0))
        intensity, rate = c.flop[chosen] / c.dram_bytes[chosen], c.flop[chosen] / took[chosen]
        columns = (chosen.tolist(), intensity.tolist(), rate.tolist(), c.bound[chosen].tolist(), took[chosen].tolist())
        for i, x, y, bound, seconds in zip(*columns, strict=True):
            place = (record.kinds[i], float(f"{x:.3g}"), float(f"{y:.3g}"), BOUNDS[bound])
            spent[place] = spent.get(place, 0.0) + seconds * record.repeats
    ranked = sorted(spent.items(), key=lambda item: (-item[1], item[0]))
    return [
        Point(kind=kind, intensity_flop_per_byte=x, flop_per_s=y, time_s=seconds, bound=bound)
        for (kind, x, y, bound), seconds in ranked
    ]


def plot_roofline(result: Result, ax: Axes | None = None) -> Axes:
    """Every operator under the roof of its device: area is time, colour is what bounds it."""
    ax = ax if ax is not None else new_axes(8.0, 5.0)
    _draw(result, ax)
    roofs = ax.get_legend()
    ax.legend(handles=_entries([result]), fontsize=8, frameon=False, loc="lower right")
    if roofs is not None:
        ax.add_artist(roofs)
    return ax


def plot_rooflines(results: Sequence[Result]) -> Axes:
    """A panel a run, two beside each other."""
    columns = min(2, len(results))
    rows = math.ceil(len(results) / columns)
    axes = grid(rows, columns, 7.0 * columns, [4.3] * (rows - 1) + [4.7])
    for place, ax in enumerate(axes.flat):
        if place < len(results):
            _draw(results[place], ax)
        else:
            ax.set_axis_off()
    first: Axes = axes[0, 0]
    legend_below(first, _entries(results))
    return first


def _entries(results: Sequence[Result]) -> list[Any]:
    met = {point.bound for result in results for point in points(result)}
    return [key(color, f"{bound}-bound") for bound, color in _BOUND_COLORS.items() if bound in met]


def _draw(result: Result, ax: Axes) -> None:
    found = points(result)
    by_name = {spec.name: spec for spec in result.system.devices.values()}
    used = [by_name[name] for name in result.used_specs]
    roofs = [(spec, *_roof(spec, result.dtype)) for spec in used]
    places = [p.intensity_flop_per_byte for p in found] + [peak / bandwidth for _, peak, bandwidth in roofs]
    low, high = min(places, default=0.1) / 3.0, max(places, default=1e3) * 3.0
    x = np.geomspace(low, high, 200)
    for number, (_, peak, bandwidth) in enumerate(roofs):
        ax.plot(x, np.minimum(peak, bandwidth * x), color=_ROOFS[number % len(_ROOFS)], linewidth=1.5, zorder=2)
    total = sum(p.time_s for p in found) or 1.0
    for point in reversed(found):
        size = 14.0 + 900.0 * point.time_s / total
        color = _BOUND_COLORS[point.bound]
        at = ([point.intensity_flop_per_byte], [point.flop_per_s])
        ax.scatter(*at, s=size, color=color, alpha=0.65, edgecolor="white", linewidth=0.6, zorder=3)
    _scales(ax, (low, high), [peak for _, peak, _ in roofs], found)
    _name_points(ax, found, total)
    ax.set_title(f"{shortened(f'{result.graph.name} on {result.label}', 90)}, {result.dtype}", loc="left", fontsize=10)
    entries = [_roof_entry(number, *roof) for number, roof in enumerate(roofs)]
    ax.legend(handles=entries, fontsize=8, frameon=False, loc="upper left")


def _roof_entry(number: int, spec: DeviceSpec, peak: float, bandwidth: float) -> Any:
    text = f"{spec.name}: {format_quantity(peak, 'FLOP/s', 3)}, {format_quantity(bandwidth, 'B/s', 3)}, "
    return line(_ROOFS[number % len(_ROOFS)], f"{text}ridge at {peak / bandwidth:.3g} FLOP/B")


def _roof(spec: DeviceSpec, dtype: str) -> tuple[float, float]:
    """Peak of the format a scheme multiplies in (or the device's highest), and main memory bandwidth; both finite."""
    peaks = KINDS[spec.kind].peaks(spec)
    wanted = peaks.get(scheme(dtype).matrix, 0.0)
    finite = [peak for peak in peaks.values() if 0.0 < peak < math.inf]
    peak = wanted if 0.0 < wanted < math.inf else max(finite, default=1e15)
    return peak, spec.main_memory.bandwidth_bytes_per_s or 1e15


def _scales(ax: Axes, reach: tuple[float, float], peaks: Sequence[float], found: Sequence[Point]) -> None:
    rates = [p.flop_per_s for p in found]
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*reach)
    ax.set_ylim(min([*rates, *peaks], default=1.0) / 3.0, max([*rates, *peaks], default=1.0) * 6.0)
    with_unit(ax.yaxis, "FLOP/s")
    ax.tick_params(labelsize=8)
    ax.set_xlabel(
        "arithmetic intensity (FLOP per byte of main memory); area of a dot: its share of the time", fontsize=8
    )
    ax.grid(visible=True, which="major", alpha=0.25)
    tidy(ax)


def _name_points(ax: Axes, found: Sequence[Point], total: float) -> None:
    """Name the kinds that take longest, with their share of the time, under their largest dot."""
    shares: dict[str, float] = {}
    largest: dict[str, Point] = {}
    for point in found:
        shares[point.kind] = shares.get(point.kind, 0.0) + point.time_s / total
        largest.setdefault(point.kind, point)
    taken: list[tuple[float, float]] = []
    for kind in sorted(shares, key=lambda k: (-shares[k], k))[:_NAMED]:
        point = largest[kind]
        x, y = math.log10(point.intensity_flop_per_byte), math.log10(point.flop_per_s)
        if shares[kind] < 0.01 or any(abs(x - u) < 0.9 and abs(y - v) < 0.4 for u, v in taken):
            continue
        taken.append((x, y))
        below = -5 - math.sqrt(14.0 + 900.0 * point.time_s / total) / 2
        at = (point.intensity_flop_per_byte, point.flop_per_s)
        style = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.7}
        text = f"{kind} {shares[kind]:.0%}"
        ax.annotate(
            text, at, (0, below), textcoords="offset points", fontsize=8, ha="center", va="top", zorder=4, bbox=style
        )
