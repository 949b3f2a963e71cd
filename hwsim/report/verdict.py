"""What was claimed, what was measured, what the simulator says; and whether requirements hold."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType

from hwsim.errors import InputError
from hwsim.registry import unknown_name
from hwsim.report.metrics import metric
from hwsim.report.result import Result
from hwsim.specs.scenario import METRICS, ClaimSpec, MeasuredSpec, RequirementSpec

__all__ = ["Runs", "compared", "judged", "required"]

Runs = Mapping[tuple[str, str], Result]
"""Results by (variant, system name), in the order they ran."""

_COMPARE: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt, "==": operator.eq}
)


def _find(runs: Runs, system: str, variant: str) -> tuple[tuple[str, str], Result]:
    for key, result in runs.items():
        if (not system or key[1] == system) and (key[0] == variant):
            return key, result
    for key, result in runs.items():
        if not variant and (not system or key[1] == system):
            return key, result
    raise unknown_name("run of this scenario", f"{system or 'any'}/{variant or 'any'}", [f"{s}/{v}" for v, s in runs])


def _figure(runs: Runs, name: str, system: str, variant: str, over: str, over_variant: str, device: str = "") -> float:
    value = metric(_find(runs, system, variant)[1], name, device)
    if not over and not over_variant:
        return value
    base = metric(_find(runs, over or system, over_variant)[1], name, device)
    if base == 0.0:
        raise InputError(f"{name} of {over or system} is 0, so nothing can be divided by it")
    return value / base


def _verdict(simulated: float, claimed: float, measured: float | None) -> str:
    said = f"claimed {claimed:.3g}, simulated {simulated:.3g}"
    if measured is None:
        ratio = simulated / claimed if claimed else float("inf")
        return f"{said}: {'agrees within a quarter' if 0.8 <= ratio <= 1.25 else 'differs by more than a quarter'}"
    nearer = abs(simulated - measured) <= abs(claimed - measured)
    return f"{said}, measured {measured:.3g}: the {'simulation' if nearer else 'claim'} is nearer to the measurement"


def judged(
    claim: ClaimSpec, measured: tuple[MeasuredSpec, ...], runs: Runs
) -> tuple[tuple[str, str], dict[str, object]]:
    """The run a claim belongs to, and {says, claimed, simulated, measured, verdict}."""
    key, _ = _find(runs, claim.system, claim.variant)
    found = next((m.value for m in measured if m.value is not None and m.unit == claim.unit), None)
    ratio = bool(claim.over or claim.over_variant)
    unit = (claim.unit or "x") if ratio else "" if METRICS.get(claim.metric) else claim.unit
    entry: dict[str, object] = {"says": claim.says, "claimed": claim.value, "simulated": None, "measured": found}
    entry |= {"metric": claim.metric, "unit": unit, "source": claim.source}
    if claim.value is None or not claim.metric:
        return key, entry | {"verdict": "a statement without a figure; read the runs"}
    value = _figure(runs, claim.metric, claim.system, claim.variant, claim.over, claim.over_variant)
    return key, entry | {"simulated": value, "verdict": _verdict(value, claim.value, found)}


def required(need: RequirementSpec, runs: Runs) -> list[tuple[tuple[str, str], dict[str, object]]]:
    """{name, holds, value, limit} of a requirement, once for each run it speaks of."""
    keys = [k for k in runs if (not need.system or k[1] == need.system) and (not need.variant or k[0] == need.variant)]
    if not keys:
        _find(runs, need.system, need.variant)
    over = f"{need.over or need.system} {need.over_variant}".strip() if need.over or need.over_variant else ""
    entries = []
    for variant, system in keys:
        value = _figure(runs, need.metric, system, variant, need.over, need.over_variant, need.device)
        holds = _COMPARE[need.op](value, need.limit)
        entry: dict[str, object] = {"name": need.name, "holds": holds, "value": value, "limit": need.limit}
        entries.append(((variant, system), entry | {"metric": need.metric, "op": need.op, "over": over}))
    return entries


_MEASURED = (
    ("latency_s", "latency_s", "s"),
    ("energy_j", "energy_j", "J"),
    ("power_w", "average_power_w", "W"),
    ("throughput_per_s", "throughput_per_s", "/s"),
)


def compared(row: MeasuredSpec, runs: Runs) -> tuple[tuple[str, str], list[dict[str, object]]]:
    """The run a measurement belongs to, and its figures beside the simulated ones."""
    key, result = _find(runs, row.system, row.variant)
    entries: list[dict[str, object]] = []
    for field, name, unit in _MEASURED:
        value = getattr(row, field)
        if value is not None:
            simulated = metric(result, name)
            error = 100.0 * (simulated / value - 1.0) if value else None
            figures = {"metric": name, "unit": unit, "measured": value, "simulated": simulated}
            entries.append(figures | {"error_percent": error, "source": row.source})
    return key, entries
