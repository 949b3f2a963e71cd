"""Fits what frameworks add to the kernels of a GPU, to networks measured in NVIDIA's containers.

Run from the root of the repository: ``python -m benchmarks.fit_frameworks [STACK ...] [without=CHIP]``. The rows are
those of ``gpu/model_dev.csv`` with the timing ``framework_bench``. A group is a stack, a network and a precision, on
whatever chips; those whose text has an even CRC-32 are never fitted. A stack has one set of constants for all its
chips, and its kernels keep those of ``cuda_graph``.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from benchmarks.fit_npu import TRUTH, Floats
from hwsim.devices.base import KINDS
from hwsim.errors import InputError
from hwsim.flow import prepare
from hwsim.graph.lowering import Lowered, lower, tables_of
from hwsim.graph.work import Work
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.frameworks import FRAMEWORKS, framework_run
from hwsim.validation.matching import device_of, stack_for
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.networks import planned

__all__ = ["FITS", "Run", "held_out", "runs", "times_s"]

_ROWS = "gpu/model_dev.csv"
_HALF = "map.fp16+reduce.fp16:memory"
_WIDE = "map+reduce:memory"
FITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "pytorch": {"dispatch": 3e-5, "conv2d:dispatch": 6e-5, "request": 1e-3, _WIDE: 0.7},
        "tf1": {"dispatch": 1e-5, "conv2d:dispatch": 6e-5, "request": 1e-3, "item": 3e-4, _HALF: 0.6},
        "xla": {
            "dispatch": 1e-5,
            "conv2d:dispatch": 6e-5,
            "request": 1e-3,
            "item": 3e-4,
            "compile": 0.025,
            "softmax:memory": 0.2,
            "softmax.fp16:memory": 0.1,
        },
        "paddle": {"dispatch": 3e-5, "request": 1e-3, "item": 2e-4, _WIDE: 0.7},
        "trt": {"dispatch": 5e-6, "request": 3e-4, "item": 4e-5},
    }
)
"""Free constants of each stack and where they start: of the stack, or ``family+family:constant``."""


@dataclass(frozen=True, slots=True)
class Run:
    """A measured row on its device and stack: its kernels in order, and how often they were compiled for it."""

    spec: DeviceSpec
    stack: SoftwareSpec
    group: str
    lowered: Lowered
    time_s: float
    compiled: float
    text: str


def held_out(run: Run) -> bool:
    """Half of the groups, by checksum of stack, network and precision."""
    return zlib.crc32(run.group.encode()) % 2 == 0


def runs() -> list[Run]:
    """All rows of frameworks whose network and stack are known."""
    file = read_measured(TRUTH / _ROWS)
    assert file is not None
    return [run for row in file.rows if (run := _run(row)) is not None]


def _run(row: Row) -> Run | None:
    found = framework_run(row)
    if found is None:
        return None
    try:
        what, spec = planned(row, FRAMEWORKS), device_of(row)
        stack = stack_for(spec, FRAMEWORKS, found.timings)
    except InputError:
        return None
    ready, dtype = prepare(what.plans[0].graph(), [spec], [stack])
    group = f"{stack.name}/{what.plans[0].workload}/{dtype.removesuffix('_mixed')}"
    text = " ".join(filter(None, (row.text("batch"), row.text("seq_q"))))
    return Run(spec, stack, group, lower(ready), row.figures["latency_us"], what.compiled, text)


def with_constants(stack: SoftwareSpec, constants: Mapping[str, float]) -> SoftwareSpec:
    """The stack with other constants."""
    kernels = {name: dict(values) for name, values in stack.kernels.items()}
    own: dict[str, float] = {}
    for name, value in constants.items():
        families, _, constant = name.partition(":")
        if not constant:
            own[f"{name}_s"] = value
        for family in families.split("+") if constant else ():
            kernels.setdefault(family, {})[constant] = min(value, 1.0)
    return replace(stack, kernels=MappingProxyType(kernels), **own)  # type: ignore[arg-type]


def times_s(spec: DeviceSpec, stack: SoftwareSpec, chosen: Sequence[Run]) -> Floats:
    """Seconds of runs on one device and stack: kernels one after another, none before the host has issued it."""
    place: dict[Work, int] = {}
    for run in chosen:
        for work in run.lowered.works:
            place.setdefault(work, len(place))
    kind = KINDS[spec.kind]
    params = kind.params(spec, stack)
    busy, host = np.zeros(len(place)), np.zeros(len(place))
    for table in tables_of(list(place)).values():
        cost = kind.price_form(table, params)
        host[table.index] = cost.dispatch_s[0]
        busy[table.index] = cost.time_s[0] - cost.dispatch_s[0]
    return np.array([_replayed_s(run, stack, busy, host, place) for run in chosen])


def _replayed_s(run: Run, stack: SoftwareSpec, busy: Floats, host: Floats, place: Mapping[Work, int]) -> float:
    ids = np.array([place[work] for work in run.lowered.works])[run.lowered.row_ids]
    device = busy[ids].copy()
    device[0] += max(0.0, run.lowered.graph.items * stack.item_s - float(device.sum()))
    ends = np.cumsum(host[ids]) + np.cumsum(device[::-1])[::-1]
    return stack.request_s + float(ends.max()) + run.compiled * len(ids) * stack.compile_s


def fit(chosen: Sequence[Run], start: Mapping[str, float]) -> dict[str, float]:
    """Constants of one stack, on all its chips alike, that suit the groups that are not held out."""
    from scipy.optimize import minimize

    train = [run for run in chosen if not held_out(run)]
    names, first = list(start), np.log(np.array(list(start.values())))

    def cost(logs: Floats) -> float:
        constants = dict(zip(names, np.exp(logs).tolist(), strict=True))
        gap = np.concatenate([gaps(runs, constants) for runs in by_chip(train)])
        return float(np.abs(np.log1p(gap)).mean() + 0.02 * np.abs(logs - first).mean())

    best = first
    for step in (0.4, -0.3, 0.2):
        simplex = np.vstack([best, best + step * np.eye(len(best))])
        options = {"maxfev": 300, "xatol": 1e-3, "fatol": 1e-5, "initial_simplex": simplex}
        best = minimize(cost, best, method="Nelder-Mead", options=options).x
    return dict(zip(names, np.exp(best).tolist(), strict=True))


def by_chip(chosen: Sequence[Run]) -> list[list[Run]]:
    """Runs of one stack, chip by chip."""
    names = dict.fromkeys(run.spec.name for run in chosen)
    return [[run for run in chosen if run.spec.name == name] for name in names]


def gaps(chosen: Sequence[Run], constants: Mapping[str, float]) -> Floats:
    """Relative errors of runs on one chip and stack with other constants."""
    stack = with_constants(chosen[0].stack, constants)
    found: Floats = times_s(chosen[0].spec, stack, chosen) / np.array([run.time_s for run in chosen]) - 1.0
    return found


def _show(name: str, chosen: Sequence[Run], constants: Mapping[str, float]) -> None:
    gap = 100.0 * gaps(chosen, constants)
    test = np.array([held_out(run) for run in chosen])
    for group in dict.fromkeys(run.group for run in chosen):
        rows = [i for i, run in enumerate(chosen) if run.group == group]
        text = "  ".join(f"{chosen[i].text}: {gap[i]:+.0f}" for i in rows)
        sys.stdout.write(f"    {group}{' (held out)' if test[rows[0]] else ''}: {text}\n")
    for label, which in (("fitted", ~test), ("held out", test)):
        if which.any():
            off = np.abs(gap[which])
            figures = f"mean {off.mean():.1f} % median {np.median(off):.1f} % p90 {np.percentile(off, 90):.1f} %"
            sys.stdout.write(f"{name} {label:9} n {which.sum()} {figures}\n")


def main() -> None:
    """Fit every stack, or those named, and print constants and errors; ``without=CHIP`` leaves a chip out."""
    wanted = [name for name in sys.argv[1:] if "=" not in name]
    without = [name.partition("=")[2] for name in sys.argv[1:] if name.startswith("without=")]
    everything = runs()
    for name in dict.fromkeys(run.stack.name for run in everything):
        if wanted and name not in wanted:
            continue
        chosen = [run for run in everything if run.stack.name == name]
        free = FITS.get(name, {})
        fitted = [run for run in chosen if run.spec.name not in without and run.stack.basis == "calibrated"]
        constants = fit(fitted, free) if free else {}
        sys.stdout.write("".join(f"    {key}: {value:.4g}\n" for key, value in constants.items()))
        for rows in by_chip(chosen):
            _show(f"{rows[0].spec.name} {name}", rows, constants)


if __name__ == "__main__":
    main()
