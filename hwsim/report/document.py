"""Results as JSON and CSV that machines read: stable keys, 9 significant digits, no NaN."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwsim.report.estimate import Estimate
from hwsim.report.result import Result
from hwsim.version import __version__

__all__ = [
    "estimate_document",
    "json_text",
    "plain",
    "result_document",
    "run_document",
    "whole_file",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_text",
]

_DIGITS = 9


def plain(value: Any) -> Any:
    """A JSON value: floats of 9 significant digits, null for what is not a finite number.

    >>> plain({"x": 1 / 3, "y": float("inf")})
    {'x': 0.333333333, 'y': None}
    """
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, int):
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    return float(f"{number:.{_DIGITS}g}")


def run_document(result: Result) -> dict[str, Any]:
    """One entry of ``runs``."""
    latency = result.latency_s
    energies = result.device_energy_j
    devices = {
        role: {
            "spec": spec.name,
            **result.utilization[role],
            "energy_j": energies[role],
            "peak_temperature_c": None,
        }
        for role, spec in result.system.devices.items()
    }
    document = {
        "scenario": result.scenario,
        "variant": result.variant,
        "workload": result.graph.name,
        "system": result.system.name,
        "policy": result.policy,
        "dtype": result.dtype,
        "software": result.software,
        "basis": result.basis.name,
        "error_percent": result.basis.error_percent,
        "residual_share": result.basis.residual_share,
        "fidelity": result.basis.fidelity,
        "latency_s": latency,
        "energy_j": result.energy_j,
        "average_power_w": result.average_power_w,
        "throughput_per_s": result.throughput_per_s,
        "items": result.items,
        "item": result.graph.item,
        "metrics": result.metrics,
        "peak_memory_bytes": result.peak_memory_bytes,
        "weight_bytes": result.graph.weight_bytes,
        "numerics": result.numerics or None,
        "fits": result.fits,
        "note": result.note,
        "requirements": list(result.requirements),
        "claims": list(result.claims),
        "measured": list(result.measured),
        "latency_percentiles_s": {"p50": latency, "p90": latency, "p99": latency},
        "devices": devices,
        "energy_breakdown_j": result.energy_breakdown_j,
    }
    shown: dict[str, Any] = plain(document)
    return shown


def result_document(results: Sequence[Result], seed: int = 0) -> dict[str, Any]:
    """The document of ``hwsim run --json``."""
    return {
        "schema": "hwsim/result/v1",
        "hwsim_version": __version__,
        "seed": seed,
        "runs": [run_document(result) for result in results],
    }


def estimate_document(estimate: Estimate, *, per_op: bool = False) -> dict[str, Any]:
    """The document of ``hwsim estimate --json``."""
    graph = estimate.costs.lowered.graph
    document: dict[str, Any] = {
        "schema": "hwsim/estimate/v1",
        "hwsim_version": __version__,
        "workload": graph.name,
        "device": estimate.device,
        "software": estimate.software,
        "dtype": estimate.dtype,
        "basis": estimate.basis.name,
        "error_percent": estimate.basis.error_percent,
        "residual_share": estimate.basis.residual_share,
        "fidelity": estimate.basis.fidelity,
        "time_s": estimate.time_s,
        "energy_j": estimate.energy_j,
        "macs": graph.macs,
        "parameters": graph.parameters,
        "items": graph.items,
        "item": graph.item,
    }
    if graph.notes:
        document["notes"] = list(graph.notes)
    if per_op:
        columns = estimate.columns
        document["ops"] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    shown: dict[str, Any] = plain(document)
    return shown


def json_text(document: Any) -> str:
    """A document as JSON text."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)


def write_json(document: Any, path: Path) -> None:
    """Write a document; the file appears whole or not at all."""
    write_text(json_text(document) + "\n", path)


def write_csv(columns: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Write columns of equal length with a header row; floats with 9 significant digits."""
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(f"{x:.{_DIGITS}g}" if isinstance(x, float) else x for x in row)
    write_text(buffer.getvalue(), path)


def write_text(text: str, path: Path) -> None:
    """Write a text file; it appears whole or not at all."""
    write_bytes(text.encode("utf-8"), path)


def write_bytes(data: bytes, path: Path) -> None:
    """Write a file; it appears whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(data)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write beside ``path``, which takes its place at the end, or vanishes if something fails."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
