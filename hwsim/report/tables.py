"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from hwsim.report.estimate import Estimate
from hwsim.report.result import Result
from hwsim.units import format_quantity

__all__ = [
    "bottleneck_table",
    "comparison_table",
    "energy_text",
    "key_values",
    "operators_table",
    "plain_table",
    "results_table",
    "summary_lines",
    "verdict_tables",
]


def plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """A table of texts; columns named in ``right`` are right-aligned."""
    table = Table(title=title or None, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
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


def seconds(value: float) -> str:
    """A time with four digits and a fitting unit."""
    if value >= 1000.0:
        return f"{value:,.0f} s"
    return format_quantity(value, "s")


def size(value: float) -> str:
    """Bytes in decimal units."""
    return format_quantity(value, "B", 3)


def percent(value: float) -> str:
    """A share as per cent."""
    return f"{100.0 * value:.1f} %"


def results_table(title: str, results: Sequence[Result]) -> Table:
    """One row a run of a scenario."""
    columns = (
        "system",
        "variant",
        "dtype",
        "latency",
        "±",
        "throughput",
        "energy",
        "power",
        "busy",
        "bound by",
        "memory",
        "fits",
    )
    rows = []
    for result in results:
        item = result.graph.item
        busy = max((use["busy"] for use in result.utilization.values()), default=0.0)
        bound = result.bottlenecks(most=1)
        rows.append(
            (
                result.system.name,
                result.variant,
                result.dtype,
                seconds(result.latency_s),
                f"{result.basis.error_percent:.0f} %",
                f"{result.throughput_per_s:.4g} {item}/s",
                format_quantity(result.energy_j, "J"),
                format_quantity(result.average_power_w, "W", 3),
                percent(busy),
                f"{bound[0][3]}: {bound[0][0]}" if bound else "",
                size(result.peak_memory_bytes),
                "yes" if result.fits else "NO",
            )
        )
    if not any(row[1] for row in rows):
        columns = columns[:1] + columns[2:]
        rows = [row[:1] + row[2:] for row in rows]
    right = ("latency", "±", "throughput", "energy", "power", "busy", "memory")
    return plain_table(title, columns, rows, right)


def comparison_table(title: str, columns: Mapping[str, Sequence[Any]]) -> Table:
    """One row a device."""
    heads = (
        "device",
        "dtype",
        "latency",
        "±",
        "throughput",
        "energy",
        "energy/item",
        "power",
        "utilization",
        "bound",
        "memory",
        "fits",
    )
    rows = [
        (
            columns["device"][i],
            columns["dtype"][i],
            seconds(columns["latency_s"][i]),
            f"{columns['error_percent'][i]:.0f} %",
            f"{columns['throughput_per_s'][i]:.4g} /s",
            format_quantity(columns["energy_j"][i], "J"),
            format_quantity(columns["energy_per_item_j"][i], "J"),
            format_quantity(columns["average_power_w"][i], "W", 3),
            percent(columns["utilization"][i]),
            columns["bound"][i],
            size(columns["peak_memory_bytes"][i]),
            "yes" if columns["fits"][i] else "NO",
        )
        for i in range(len(columns["device"]))
    ]
    right = ("latency", "±", "throughput", "energy", "energy/item", "power", "utilization", "memory")
    return plain_table(title, heads, rows, right)


def bottleneck_table(result: Result, most: int = 8) -> Table:
    """Which operators take most time, and what bounds them."""
    rows = [
        (name, seconds(spent), percent(share), bound, f"{count:,}")
        for name, spent, share, bound, count in result.bottlenecks(most)
    ]
    title = f"Where the time goes on {result.system.name}"
    return plain_table(
        title, ("operator (phase)", "time", "share", "bound by", "runs"), rows, ("time", "share", "runs")
    )


def operators_table(estimate: Estimate, most: int | None = None) -> Table:
    """One row an operator, in graph order; ``most`` keeps only the longest."""
    c = estimate.columns
    chosen = list(range(len(c["op"])))
    if most is not None and len(chosen) > most:
        longest = sorted(chosen, key=lambda i: -c["time_s"][i])[:most]
        chosen = sorted(longest)
    rows = [
        (
            c["op"][i],
            c["kind"][i],
            str(c["repeats"][i]),
            seconds(c["time_s"][i]),
            format_quantity(c["energy_j"][i], "J"),
            format_quantity(c["flop"][i], "FLOP", 3),
            size(c["bytes"][i]),
            c["bound"][i],
            percent(c["utilization"][i]),
        )
        for i in chosen
    ]
    heads = ("op", "kind", "runs", "time", "energy", "flop", "bytes", "bound", "utilization")
    return plain_table("", heads, rows, ("runs", "time", "energy", "flop", "bytes", "utilization"))


def verdict_tables(results: Sequence[Result]) -> list[Table]:
    """Claims, measurements and requirements beside the simulated figures; nothing where a scenario gives none."""

    def number(value: object) -> str:
        return "" if value is None else f"{value:.4g}" if isinstance(value, float | int) else str(value)

    tables: list[Table] = []
    claims = [
        (str(c["says"]), number(c["claimed"]), number(c["simulated"]), number(c["measured"]), str(c["verdict"]))
        for r in results
        for c in r.claims
    ]
    if claims:
        heads = ("claim", "claimed", "simulated", "measured", "verdict")
        tables.append(plain_table("Claims", heads, claims, heads[1:4]))
    measured = [
        (
            f"{r.system.name} {r.variant}".strip(),
            f"{m['metric']}",
            number(m["measured"]),
            number(m["simulated"]),
            f"{m['error_percent']:+.1f} %",
            str(m["source"]),
        )
        for r in results
        for m in r.measured
    ]
    if measured:
        heads6 = ("system", "metric", "measured", "simulated", "error", "source")
        tables.append(plain_table("Measured", heads6, measured, ("measured", "simulated", "error")))
    needs = [
        (
            str(n["name"]),
            f"{r.system.name} {r.variant}".strip(),
            f"{n['metric']} {n['op']} {number(n['limit'])}",
            number(n["value"]),
            "holds" if n["holds"] else "FAILS",
        )
        for r in results
        for n in r.requirements
    ]
    if needs:
        tables.append(plain_table("Requirements", ("requirement", "system", "must", "is", "verdict"), needs, ("is",)))
    return tables


def energy_text(result: Result) -> str:
    """Energy by cause in one line."""
    total = result.energy_j
    parts = [
        f"{name} {format_quantity(value, 'J', 3)} ({value / total:.0%})"
        for name, value in result.energy_breakdown_j.items()
        if value > 0.0
    ]
    return f"energy {format_quantity(total, 'J')} = " + " + ".join(parts)


def summary_lines(result: Result) -> list[str]:
    """What the figures rest on, and further figures of the workload."""
    basis = result.basis
    lines = [
        f"{result.system.name}: basis {basis.name}, expected error {basis.error_percent:.0f} %; {basis.fidelity}",
        f"  rests on: {basis.says}",
        f"  {energy_text(result)}",
    ]
    figures = ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items())
    lines.append(f"  {figures}")
    slow = [r for r in result.records if float(r.clock.min()) < 0.999]
    if slow:
        clocks = ", ".join(f"{r.phase} at {float(r.clock.min()):.0%} of the clock" for r in slow[:4])
        lines.append(f"  power cap: {clocks}")
    if result.note:
        lines.append(f"  does not fit: {result.note}")
    return lines
