"""Tables for the terminal, which a page shows too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

from hwsim.report.estimate import Estimate
from hwsim.report.figures import counted, joules, number, percent, seconds, size
from hwsim.report.result import Result
from hwsim.units import format_quantity

__all__ = [
    "FittingTable",
    "bottleneck_table",
    "comparison_table",
    "key_values",
    "operators_table",
    "plain_table",
    "results_table",
]


_FOLDED = 24
"""Characters of a long text before it is folded."""


class FittingTable(Table):
    """A table that leaves out columns where the terminal is too narrow, the first of ``optional`` first."""

    optional: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render what fits, and name what was left out."""
        shown, left_out = self, []
        last_first = [str(column.header) for column in self.columns[:1:-1]]
        for name in dict.fromkeys((*self.optional, *last_first)):
            if shown.comfortable_width <= options.max_width:
                break
            shown = shown.without(name)
            left_out.append(name)
        yield from Table.__rich_console__(shown, console, options)
        if left_out:
            yield f"(a wider terminal also shows: {', '.join(left_out)})"

    @property
    def comfortable_width(self) -> int:
        """Characters at which no number and no short text is broken, long texts folded."""
        width = 1
        for column in self.columns:
            longest = max(len(str(cell)) for cell in (column.header, *column.cells))
            width += 2 + (longest if column.no_wrap else min(longest, _FOLDED))
        return width

    def without(self, name: str) -> FittingTable:
        """A copy that lacks the column of that name."""
        kept = [column for column in self.columns if str(column.header) != name]
        table = copy(self)
        table.columns = [replace(column, _index=place) for place, column in enumerate(kept)]
        return table


def plain_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[str] = (),
    *,
    optional: Sequence[str] = (),
) -> FittingTable:
    """A table of texts.

    Args:
        title: stands above.
        columns: the headings.
        rows: one text a column.
        right: headings of right-aligned columns, which are never wrapped.
        optional: headings of columns that a narrow terminal leaves out, the first of them first.
    """
    table = FittingTable(title=title or None, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    table.optional = [name for name in optional if name in columns]
    for name in columns:
        table.add_column(
            name, justify="right" if name in right else "left", no_wrap=name in right, overflow="fold", min_width=4
        )
    for row in rows:
        table.add_row(*row)
    return table


def key_values(title: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """A two-column list of names and values."""
    table = Table(
        title=title or None, box=None, show_header=False, title_justify="left", title_style="bold", pad_edge=False
    )
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for key, value in pairs:
        table.add_row(key, value)
    return table


def _result_row(result: Result) -> dict[str, str]:
    busy = max((use["busy"] for use in result.utilization.values()), default=0.0)
    bound = result.bottlenecks(most=1)
    return {
        "system": result.system.name,
        "variant": result.variant,
        "dtype": result.dtype,
        "latency": seconds(result.latency_s),
        "±": f"{result.basis.error_percent:.0f} %",
        "throughput": f"{number(result.throughput_per_s)} {result.graph.item}s/s",
        "energy": joules(result.energy_j),
        "power": format_quantity(result.average_power_w, "W", 3),
        "busy": percent(busy),
        "bound by": f"{bound[0].bound}: {bound[0].kind}" if bound else "",
        "memory": size(result.peak_memory_bytes),
        "fits": "yes" if result.fits else "NO",
    }


_RIGHT = ("latency", "±", "throughput", "energy", "energy/item", "power", "busy", "utilization", "memory")


def results_table(title: str, results: Sequence[Result]) -> Table:
    """One row a run of a scenario."""
    rows = [_result_row(result) for result in results]
    heads = [name for name in (rows[0] if rows else {"system": ""}) if name != "variant" or any(r[name] for r in rows)]
    texts = [[row[name] for name in heads] for row in rows]
    return plain_table(title, heads, texts, _RIGHT, optional=("busy", "dtype", "memory", "throughput", "power", "fits"))


def comparison_table(title: str, columns: Mapping[str, Sequence[Any]]) -> Table:
    """One row a device."""
    rows = [_comparison_row(columns, i) for i in range(len(columns["device"]))]
    heads = list(rows[0]) if rows else ["device"]
    spare = ("dtype", "power", "memory", "throughput", "energy", "utilization", "fits")
    return plain_table(title, heads, [list(row.values()) for row in rows], _RIGHT, optional=spare)


def _comparison_row(columns: Mapping[str, Sequence[Any]], i: int) -> dict[str, str]:
    return {
        "device": columns["device"][i],
        "dtype": columns["dtype"][i],
        "latency": seconds(columns["latency_s"][i]),
        "±": f"{columns['error_percent'][i]:.0f} %",
        "throughput": f"{number(columns['throughput_per_s'][i])} /s",
        "energy": joules(columns["energy_j"][i]),
        "energy/item": joules(columns["energy_per_item_j"][i]),
        "power": format_quantity(columns["average_power_w"][i], "W", 3),
        "utilization": percent(columns["utilization"][i]),
        "bound": columns["bound"][i],
        "memory": size(columns["peak_memory_bytes"][i]),
        "fits": "yes" if columns["fits"][i] else "NO",
    }


def bottleneck_table(results: Sequence[Result], most: int = 8) -> Table:
    """Which operators take most time in each run, and what bounds them."""
    heads = ["system", "operator", "phase", "time", "share", "bound by", "of peak", "runs"]
    rows = [row for result in results for row in _bottleneck_rows(result, most)]
    if len(results) == 1:
        heads, rows = heads[1:], [row[1:] for row in rows]
    title = "Where the time goes" + (f" on {results[0].system.name}" if len(results) == 1 else "")
    right = ("time", "share", "of peak", "runs")
    return plain_table(title, heads, rows, right, optional=("runs", "of peak", "phase"))


def _bottleneck_rows(result: Result, most: int) -> Iterator[list[str]]:
    name = f"{result.system.name} {result.variant}".rstrip()
    for place, b in enumerate(result.bottlenecks(most)):
        figures = [seconds(b.time_s), percent(b.share), b.bound, percent(b.utilization), f"{b.runs:,}"]
        yield ["" if place else name, b.kind, b.phase, *figures]


def _rows(estimate: Estimate, chosen: Sequence[int]) -> Iterator[Sequence[str]]:
    c = estimate.columns
    for i in chosen:
        yield (
            c["op"][i],
            c["kind"][i],
            f"{c['repeats'][i]:,}",
            seconds(c["time_s"][i]),
            joules(c["energy_j"][i]),
            format_quantity(c["flop"][i], "FLOP", 3),
            size(c["bytes"][i]),
            c["bound"][i],
            percent(c["utilization"][i]),
        )


def operators_table(estimate: Estimate) -> Table:
    """One row an operator, in graph order; times and energies over all repeats of its phase."""
    count = len(estimate.columns["op"])
    heads = ("op", "kind", "runs", "time", "energy", "flop", "bytes", "bound", "of peak")
    right = ("runs", "time", "energy", "flop", "bytes", "of peak")
    title = f"{estimate.costs.lowered.graph.name} on {estimate.device}: {counted(count, 'operator')}"
    spare = ("runs", "bytes", "flop", "kind", "of peak", "energy")
    return plain_table(title, heads, list(_rows(estimate, range(count))), right, optional=spare)
