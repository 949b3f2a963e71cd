"""What a run means: claims, measurements and requirements beside the figures, and what the figures rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from hwsim.report.basis import Basis
from hwsim.report.estimate import Estimate
from hwsim.report.figures import counted, figure, joules, number, percent, seconds, shortened, size, words
from hwsim.report.result import Result
from hwsim.report.tables import plain_table
from hwsim.units import format_quantity

__all__ = ["basis_line", "energy_text", "estimate_pairs", "summary_lines", "verdict_tables"]


def verdict_tables(results: Sequence[Result]) -> list[Table]:
    """Claims, measurements and requirements beside the simulated figures; nothing where a scenario gives none."""
    tables: list[Table] = []
    claims = [_claim_row(claim) for result in results for claim in result.claims]
    if claims:
        heads = ("claim", "claimed", "measured", "simulated", "verdict")
        tables.append(plain_table("Claims", heads, claims, heads[1:4]))
    measured = [_measured_row(result, row) for result in results for row in result.measured]
    if measured:
        heads6 = ("system", "figure", "measured", "simulated", "error", "source")
        rows = [[*row[:-1], shortened(row[-1], 90)] for row in measured]
        tables.append(plain_table("Measured", heads6, rows, heads6[2:5], optional=("source",)))
    errors = [_numerics_row(result) for result in results if result.numerics]
    if errors:
        heads7 = ("system", "dtype", "latency", "energy", "weights", "SNR", "cosine", "same top-1", "inputs")
        tables.append(plain_table("Numerical error against fp32", heads7, errors, heads7[2:]))
    needs = [_need_row(result, need) for result in results for need in result.requirements]
    if needs:
        heads5 = ("requirement", "system", "must be", "is", "verdict")
        tables.append(plain_table("Requirements", heads5, needs, ("is",)))
    return tables


def _claim_row(claim: Mapping[str, Any]) -> list[str]:
    unit, metric = str(claim.get("unit", "")), str(claim.get("metric", ""))
    shown = [figure(metric, claim[key], unit) for key in ("claimed", "measured", "simulated")]
    return [str(claim["says"]), *shown, str(claim["verdict"])]


def _measured_row(result: Result, row: Mapping[str, Any]) -> list[str]:
    metric, error = str(row["metric"]), row["error_percent"]
    return [
        f"{result.system.name} {result.variant}".strip(),
        words(metric),
        figure(metric, row["measured"]),
        figure(metric, row["simulated"]),
        "" if error is None else f"{error:+.1f} %",
        str(row["source"]),
    ]


def _numerics_row(result: Result) -> list[str]:
    found: Any = result.numerics
    agreement = found["top1_agreement"]
    return [
        f"{result.system.name} {result.variant}".strip(),
        str(found["scheme"]),
        seconds(result.latency_s),
        joules(result.energy_j),
        size(result.graph.weight_bytes),
        f"{found['snr_db']:.1f} dB",
        f"{found['cosine']:.6f}",
        "" if agreement is None else percent(agreement),
        str(found["inputs"]),
    ]


def _need_row(result: Result, need: Mapping[str, Any]) -> list[str]:
    metric, over = str(need["metric"]), str(need.get("over", ""))
    unit = "x" if over else ""
    op = "" if metric == "fits" else f"{need['op']} "
    must = f"{words(metric)} {op}{figure(metric, need['limit'], unit)}" + (f" that of {over}" if over else "")
    where = f"{result.system.name} {result.variant}".strip()
    return [str(need["name"]), where, must, figure(metric, need["value"], unit), "holds" if need["holds"] else "FAILS"]


def energy_text(result: Result) -> str:
    """Shares of the energy by cause, in one line."""
    total = result.energy_j
    parts = [
        f"{name} {value / total:.0%}" for name, value in result.energy_breakdown_j.items() if total and value > 0.0
    ]
    return f"energy: {', '.join(parts)}" if parts else "no energy"


def basis_line(basis: Basis, devices: Sequence[str], limit: int = 120) -> str:
    """What figures rest on, in a line; long texts are cut and the command that shows them whole is named."""
    says = shortened(basis.says, limit)
    if not says.endswith("..."):
        return says
    commands = " and ".join(f"hwsim devices {name}" for name in devices)
    return f"{says}; {commands} {'shows' if len(devices) == 1 else 'show'} it whole"


_FIGURES: Mapping[str, str] = {
    "time_to_first_token_s": "first token after {}",
    "prompt_tokens_per_s": "{} prompt tokens/s",
    "tokens_per_s": "{} tokens/s",
}


def _figures(result: Result) -> str:
    """Seconds and joules an item, and for tokens the usual rates."""
    item = result.graph.item
    parts = [f"{counted(result.items, item)} at {seconds(result.latency_s / result.items)}"]
    parts.append(f"{joules(result.energy_j / result.items)} each" if result.items > 1 else joules(result.energy_j))
    for name, text in _FIGURES.items():
        if name in result.metrics:
            value = result.metrics[name]
            parts.append(text.format(seconds(value) if name.endswith("token_s") else number(value)))
    return ", ".join(parts)


def summary_lines(result: Result, *, whole: bool = False) -> list[str]:
    """What the figures rest on, and further figures of the workload; ``whole`` cuts nothing."""
    basis = result.basis
    title = f"{result.system.name} {result.variant}".strip()
    rests = f"basis {basis.name}, expected error {basis.error_percent:.0f} %; {basis.method}"
    lines = [
        f"{title}: {rests}; fidelity: {basis.fidelity}",
        f"  rests on: {basis.says if whole else basis_line(basis, result.used_specs)}",
        f"  {_figures(result)}; {energy_text(result)}",
    ]
    slowest: dict[str, float] = {}
    for record in result.records:
        slowest[record.phase] = min(float(record.clock.min()), slowest.get(record.phase, 1.0))
    slow = [f"{phase} at {clock:.0%} of the clock" for phase, clock in slowest.items() if clock < 0.999]
    if slow:
        lines.append(f"  power cap: {', '.join(slow[:4])}")
    if result.graph.notes:
        lines.append(f"  not understood: {'; '.join(result.graph.notes)}")
    if result.note:
        lines.append(f"  does not fit: {result.note}")
    return lines


def estimate_pairs(estimate: Estimate, *, whole: bool = False) -> list[tuple[str, str]]:
    """An estimate as names and values; ``whole`` cuts nothing."""
    graph, basis = estimate.costs.lowered.graph, estimate.basis
    time, energy = estimate.time_s, estimate.energy_j
    several = graph.items > 1
    each = f"   {seconds(time / graph.items)} per {graph.item}" if several else ""
    joules_each = f"   {joules(energy / graph.items)} per {graph.item}" if several else ""
    longest: dict[str, float] = {}
    for bound, spent in zip(estimate.columns["bound"], estimate.columns["time_s"], strict=True):
        longest[bound] = longest.get(bound, 0.0) + spent
    ranked = sorted(longest.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{spent / time:.0%} {bound}" for bound, spent in ranked if time)
    noted = [("not understood", "; ".join(graph.notes))] if graph.notes else []
    activity = ", ".join(f"{share:.1%} {name}" for name, share in estimate.activity.items())
    return [
        *noted,
        ("makes", counted(graph.items, graph.item)),
        ("time", f"{seconds(time)} ± {basis.error_percent:.0f} %{each}"),
        ("energy", f"{joules(energy)}{joules_each}   ({format_quantity(energy / time if time else 0.0, 'W', 3)})"),
        ("bound by", shares),
        *([("cycles", activity)] if activity else []),
        ("work", f"{format_quantity(2.0 * graph.macs, 'FLOP')} of matrix work, {graph.parameters:,} parameters"),
        ("precision", f"{estimate.dtype}, software stack {estimate.software}"),
        ("basis", f"{basis.name}, expected error {basis.error_percent:.0f} %; {basis.method}"),
        ("rests on", basis.says if whole else basis_line(basis, [estimate.device])),
        ("fidelity", basis.fidelity),
    ]
