"""Fits the constants of the stack ``ncnn``: one set for all Arm CPUs, one for those of x86.

Run from the root of the repository: ``python -m benchmarks.fit_ncnn arm x86``. Half of the chips, by the CRC-32 of the
file's name up to ``_cpu`` (so that boards of one chip and its clusters stay together), is never fitted, nor is a fifth
of the networks, by that of the workload's name, on any chip. What is fitted to are all other rows.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from benchmarks.fit_edge import Suite, descended, held_out, suite_of
from benchmarks.fit_npu import TRUTH, Floats, errors
from hwsim.devices.base import KINDS, stack_params
from hwsim.errors import HwsimError
from hwsim.graph.lowering import tables_of
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.validation.matching import device_of
from hwsim.validation.measured import read_measured
from hwsim.validation.networks import Plan, network_plan

__all__ = ["ROOTS", "Measurement", "chip_held_out", "measurements"]

STACK = "ncnn"
_PULL = 0.03
_VECTOR = "map+reduce+move"
_ALL = f"gemm+{_VECTOR}"
_FREE: Mapping[str, float] = MappingProxyType(
    {
        "launch": 3e-6,
        f"{_ALL}:cycles": 1e4,
        f"{_ALL}:sync": 0.3e-6,
        "gemm:apiece": 0.7,
        "gemm:compute": 0.6,
        "gemm.int8:compute": 0.4,
        "depthwise_conv2d:compute": 0.15,
        "gemm:winograd": 0.5,
        "gemm.int8:winograd": 0.4,
        "gemm:memory": 0.6,
        f"{_VECTOR}:memory": 0.6,
        "gemm:keep": 0.5,
        f"{_VECTOR}:keep": 0.5,
        "gemm:serial": 0.01,
    }
)
ROOTS: Mapping[str, str] = MappingProxyType({"arm": "rk3588_cpu", "x86": "xeon_8573c_cpu"})
"""The device whose file holds the constants, by the architecture."""
_X86 = ("xeon", "epyc", "ryzen", "core_i")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row: which file stands for the cores, how many threads, which network in which formats, how long."""

    device: str
    threads: int
    plan: Plan
    time_s: float


def chip_held_out(device: str) -> bool:
    """Whether no constant may be fitted to that chip, whatever cores of it."""
    return zlib.crc32(device.partition("_cpu")[0].encode()) % 2 == 0


def measurements(architecture: str) -> list[Measurement]:
    """The rows of all CPUs of an architecture, in the formats that each prefers."""
    file = read_measured(TRUTH / "edge" / "ncnn_cpu_gpu.csv")
    found = []
    for row in file.rows if file else ():
        if not row.text("unit").startswith("CPU"):
            continue
        try:
            spec, plan = device_of(row), network_plan(row)
        except HwsimError:
            continue
        if spec.name.startswith(_X86) == (architecture == "x86"):
            plan = _resolved(plan, spec.preferred_dtype)
            found.append(Measurement(spec.name, row.number("threads"), plan, next(iter(row.figures.values()))))
    return found


def _resolved(plan: Plan, dtype: str) -> Plan:
    options = dict(plan.parameters)
    chosen = dtype if options["dtype"] == "auto" else options["dtype"]
    return Plan(plan.workload, tuple(sorted({**options, "dtype": chosen}.items())))


class _Model:
    """Predictions for many rows at once: chips and threads stacked, networks as counts of distinct Work."""

    def __init__(self, rows: Sequence[Measurement]) -> None:
        self.machines = sorted({(row.device, row.threads) for row in rows})
        self.plans = list(dict.fromkeys(row.plan for row in rows))
        self.specs = [_threaded(load_device(name), threads) for name, threads in self.machines]
        passes = self.specs[0].stack(STACK).passes
        self.suite: Suite = suite_of(self.plans, passes)
        self.chip = np.array([self.machines.index((row.device, row.threads)) for row in rows])
        self.network = np.array([self.plans.index(row.plan) for row in rows])
        self.tables = tables_of(self.suite.works)

    def times_s(self, constants: Mapping[str, float]) -> Floats:
        """Seconds of every row."""
        kind = KINDS["cpu"]
        stack = self.specs[0].stack(STACK)
        kernels = {name: dict(values) for name, values in stack.kernels.items()}
        for name, value in constants.items():
            families, _, constant = name.partition(":")
            for family in families.split("+") if constant else ():
                kernels.setdefault(family, {})[constant] = value
        launch = constants.get("launch", stack.launch_s)
        stack = replace(stack, kernels=MappingProxyType(kernels), launch_s=launch)
        params = stack_params([kind.params(spec, stack) for spec in self.specs])
        times = np.zeros((len(self.specs), len(self.suite.works)))
        for table in self.tables.values():
            times[:, table.index] = kind.price_form(table, params).time_s
        whole: Floats = (times @ self.suite.count.T)[self.chip, self.network]
        return whole


def _threaded(spec: DeviceSpec, threads: int) -> DeviceSpec:
    return replace(spec, core=replace(spec.core, threads=threads))


def run(architecture: str) -> None:
    """Fit an architecture and print its constants and errors."""
    rows = measurements(architecture)
    model = _Model(rows)
    seconds = np.array([row.time_s for row in rows])
    chip = np.array([chip_held_out(row.device) for row in rows])
    network = np.array([held_out(row.plan) for row in rows])
    fitted = ~chip & ~network
    names, start = list(_FREE), np.log(np.array(list(_FREE.values())))
    most = np.array([0.0 if ":" in name and not name.endswith((":cycles", ":sync")) else np.inf for name in names])

    def predicted(logs: Floats) -> Floats:
        return model.times_s(dict(zip(names, np.exp(np.minimum(logs, most)).tolist(), strict=True)))

    def cost(logs: Floats) -> float:
        """Mean log error; one far out (threads that spin against each other) counts little more than a factor e."""
        gap = np.abs(np.log(predicted(logs)[fitted] / seconds[fitted]))
        return float(np.minimum(gap, 1.0 + 0.1 * gap).mean()) + _PULL * float(np.abs(logs - start).mean())

    best = descended(cost, start) if "--errors" not in sys.argv else None
    times = predicted(best) if best is not None else model.times_s({})
    for key, value in zip(names, np.exp(np.minimum(best, most)) if best is not None else (), strict=False):
        sys.stdout.write(f"    {key}: {value:.4g}\n")
    if "-v" in sys.argv:
        shown = np.flatnonzero(fitted)
        _print_parts([rows[i] for i in shown], times[shown], seconds[shown])
    for label, chosen in (
        ("fitted", fitted),
        ("chips held out", chip & ~network),
        ("networks held out", ~chip & network),
        ("both held out", chip & network),
    ):
        mean, median, p90 = errors(times[chosen], seconds[chosen])
        bias = float(np.exp(np.log(times[chosen] / seconds[chosen]).mean()) - 1) * 100
        rank = float(np.corrcoef(*(np.argsort(np.argsort(x[chosen])) for x in (times, seconds)))[0, 1])
        sys.stdout.write(
            f"{architecture} {label:18} n {chosen.sum()} chips {len({rows[i].device for i in np.flatnonzero(chosen)})} "
            f"mean {mean:.1f} % median {median:.1f} % p90 {p90:.1f} % bias {bias:+.1f} % rank {rank:.3f}\n"
        )


def _print_parts(rows: Sequence[Measurement], times: Floats, seconds: Floats) -> None:
    """Bias and mean error of fitted rows by chip and threads, and by network and format."""
    for key in (
        lambda row: f"{row.device} x{row.threads}",
        lambda row: f"{row.plan.workload} {dict(row.plan.parameters)['dtype']}",
    ):
        parts: dict[str, list[float]] = {}
        for row, ratio in zip(rows, np.log(times / seconds).tolist(), strict=True):
            parts.setdefault(key(row), []).append(ratio)
        for name, logs in sorted(parts.items()):
            gap = np.array(logs)
            bias, error = 100 * np.expm1(gap.mean()), 100 * np.abs(np.expm1(gap)).mean()
            sys.stdout.write(f"    {name:50} n {len(logs):3} bias {bias:+7.1f} mean {error:6.1f} %\n")


if __name__ == "__main__":
    for each in [name for name in sys.argv[1:] if not name.startswith("-")] or ROOTS:
        run(each)
