"""A device file for the machine hwsim runs on: facts from the system, bandwidths and software constants measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.graph.lowering import lower
from hwsim.graph.work import Work
from hwsim.loading import library
from hwsim.loading.device import load_device
from hwsim.loading.writing import constants_section, device_from, write_device
from hwsim.specs.device import DeviceSpec
from hwsim.units import format_quantity
from hwsim.validation.machine import machine_document, this_machine
from hwsim.validation.probes import probe_graphs
from hwsim.validation.terms import TermFit, fit_terms
from hwsim.validation.timing import Backend, times_in_turn_s

__all__ = ["Calibration", "Measured", "calibrated", "measured_probes"]

ROUNDS = 9
_FALLBACKS: Mapping[str, Sequence[str]] = {
    "gemm": ("linear", "matmul"),
    "attention": ("attention_prefill", "attention_decode"),
    "map": ("add", "mul", "relu", "batchnorm"),
    "reduce": ("layernorm", "rmsnorm", "softmax"),
    "move": ("concat", "embedding"),
}
"""Families measured for each form; together they stand for the labels nobody measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of Work and the seconds it took."""

    work: Work
    time_s: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was written, and how well each family's constants reproduce what was measured."""

    spec: DeviceSpec
    families: tuple[TermFit, ...]


def measured_probes(
    backend: Backend, started: Callable[[int], Callable[[int], object]] | None = None, rounds: int = ROUNDS
) -> list[Measured]:
    """Times of all probes, each a row of Work; ``started`` gets the number of runs and returns what is told of each."""
    graphs = list(probe_graphs())
    done = started(len(graphs) * (rounds + 1)) if started else int
    times = times_in_turn_s(graphs, backend, rounds, done)
    works = [work for graph in graphs for work in lower(graph).works]
    return [Measured(work, time_s) for work, time_s in zip(works, times, strict=True)]


def calibrated(backend: Backend, measured: Sequence[Measured], path: Path) -> Calibration:
    """Fits the constants of every family and writes the device file ``path``.

    Raises:
        FileFormatError: the name of the file is not one of a device; nothing was written.
        InputError: the file cannot be written, or the GPU that ran the graphs is in no device file.
    """
    document = _hardware(backend, path.stem)
    blank = document | {"software": {backend.name: {"launch": "0 s", "assumption": "being measured"}}}
    spec = device_from(blank, path.name)
    by_family: dict[str, list[Measured]] = defaultdict(list)
    for each in measured:
        by_family[each.work.kernel].append(each)
    fits = [_fitted(spec, backend, family, rows) for family, rows in by_family.items()]
    for form, names in _FALLBACKS.items():
        rows = [replace(each, work=replace(each.work, kernel=form)) for name in names for each in by_family[name]]
        fits += [_fitted(spec, backend, form, rows)] if rows else []
    document["software"] = {backend.name: _stack(spec, backend, fits, len(measured))}
    return Calibration(write_device(document, path), tuple(fits))


def _hardware(backend: Backend, name: str) -> dict[str, Any]:
    """All sections but the software: this machine's CPU, or the shipped file of the GPU that ran the graphs."""
    if not backend.device_name:
        return machine_document(this_machine(), name)
    gpu = load_device(library.find_by_alias(backend.device_name))
    return {"schema": "hwsim/device/v1", "name": name, "title": backend.device_name, "extends": gpu.name}


def _fitted(spec: DeviceSpec, backend: Backend, family: str, rows: Sequence[Measured]) -> TermFit:
    times = np.array([each.time_s for each in rows])
    return fit_terms(spec, family, [each.work for each in rows], times, backend.given(rows[0].work))


def _stack(spec: DeviceSpec, backend: Backend, fits: Sequence[TermFit], probes: int) -> dict[str, Any]:
    families = {fit.family: constants_section(spec, _rounded(fit.constants)) for fit in fits}
    return {
        "timing": [f"{backend.name}_live"],
        "launch": format_quantity(min(fit.constants["launch"] for fit in fits), "s"),
        "basis": "calibrated",
        **families,
        "validated": {fit.family: float(f"{fit.held_out_percent:.3g}") for fit in fits},
        "fitted_to": f"{probes} operators in fp32 measured on this machine with {backend.name}: shortest of several "
        "runs, weights cold; held out: each row predicted from the others of its family",
    }


def _rounded(constants: Mapping[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in constants.items()}
