"""Fits the constants of dataflow NPUs to frame rates of whole networks, all chips of one architecture together.

Run from the root of the repository: ``python -m benchmarks.fit_pipeline`` (``-v``: every network; ``-without=CHIP``:
leave a chip out, which shows what the constants are worth on a chip never measured). A fifth of the networks, by the
CRC-32 of the workload's name, is never fitted, on any chip.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.fit_edge import descended, held_out, lowered_rows
from benchmarks.fit_npu import TRUTH, Floats, errors
from hwsim.cost.dataflow import frame_time_s
from hwsim.devices.base import KINDS, Params
from hwsim.devices.dataflow_npu import DataflowNpuParams, stage_terms
from hwsim.errors import HwsimError
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Form, Work
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.validation.measured import read_measured
from hwsim.validation.networks import Plan, network_plan

__all__ = ["CHIPS", "Chip", "chip_of", "times_s"]

CHIPS = ("hailo_8", "hailo_8l", "hailo_10h")
_PULL = 0.004  # what drawing the constants to their start is worth against the mean logarithmic error
_NORMS = "layernorm+groupnorm+rmsnorm"
_SHARED = {
    "gemm:compute": 0.53,
    "gemm.int16:compute": 0.24,
    "gemm:depth": 250.0,
    "gemm:depthwise": 0.0101,
    "gemm:clusters": 0.0617,
    "gemm:memory": 1.4,
    "gemm:fill": 0.5,
    "matmul:clusters": 0.6,
    "softmax:clusters": 0.78,
    f"{_NORMS}:clusters": 0.82,
    f"{_NORMS}:row": 2e-6,
    "map:compute": 0.5,
    "outputs": 7.4,
}
_OWN = {
    "hailo_8": {"gemm:swap": 0.95e-3},
    "hailo_10h": {"gemm:swap": 0.44e-3, "usable": 0.93, "bandwidth": 17e9},
}
"""Constants of one chip: its way of swapping. hailo_8l sits on the same link as hailo_8."""
_SAME = {"hailo_8l": "hailo_8"}


@dataclass(frozen=True, slots=True)
class Chip:
    """Networks measured on a chip, lowered once: (networks, rows) counts of distinct rows of Work."""

    spec: DeviceSpec
    plans: tuple[Plan, ...]
    seconds: Floats
    works: tuple[Work, ...]
    count: Floats
    items: Floats


def chip_of(name: str, plans: Sequence[Plan] = ()) -> Chip:
    """What was measured on a chip, a row a network and batch size (the median where a plan occurs twice); or plans."""
    spec = load_device(name)
    found: dict[Plan, list[float]] = {plan: [np.nan] for plan in plans}
    read = None if plans else read_measured(TRUTH / "edge" / "hailo_public.csv")
    for row in read.rows if read else ():
        if row.text("device") in spec.aliases and row.figures:
            try:
                plan = network_plan(row)
            except HwsimError:
                continue
            found.setdefault(plan, []).append(next(iter(row.figures.values())))
    place: dict[Work, int] = {}
    lows = [lowered_rows(plan, tuple(spec.default_software.passes)) for plan in found]
    for low in lows:
        for work in low[0] if low else ():
            place.setdefault(work, len(place))
    count = np.zeros((len(found), len(place)))
    for index, low in enumerate(lows):
        for work, number in low[0].items() if low else ():
            count[index, place[work]] = number
    items = np.array([dict(plan.parameters).get("batch", 1) for plan in found], float)
    seconds = np.array([float(np.median(times)) for times in found.values()])
    return Chip(spec, tuple(found), seconds, tuple(place), count, items)


def _params(chip: Chip, constants: Mapping[str, float]) -> DataflowNpuParams:
    stack = chip.spec.default_software
    kernels = {name: dict(values) for name, values in stack.kernels.items()}
    for name, value in constants.items():
        families, _, constant = name.partition(":")
        for family in families.split("+") if constant else ():
            kernels.setdefault(family, {})[constant] = value
    params: Params = KINDS["dataflow_npu"].params(chip.spec, replace(stack, kernels=MappingProxyType(kernels)))
    assert isinstance(params, DataflowNpuParams)
    one = np.ones((1, 1))
    changes: dict[str, Any] = {}
    for name, field in (("outputs", "outputs"), ("usable", "usable"), ("bandwidth", "dram_bytes_per_s")):
        if name in constants:
            changes[field] = one * constants[name]
    if "cluster_bytes" in constants:
        changes["sram_bytes"] = params.clusters * constants["cluster_bytes"]
    return replace(params, **changes)


def times_s(chip: Chip, constants: Mapping[str, float]) -> Floats:
    """Seconds of each network on a chip, as the prices of its operators add up."""
    params = _params(chip, constants)
    total, contexts, slowest, loaded, pause, fill = (np.zeros(len(chip.plans)) for _ in range(6))
    for form, table in tables_of(chip.works).items():
        terms, column = stage_terms(table, params), params.kernels.column
        counts = chip.count[:, table.index]
        total += counts @ terms.balanced_s[0]
        contexts += counts @ terms.share[0]
        slowest = np.maximum(slowest, ((counts > 0) * terms.written[0]).max(axis=1))
        memory = column(table, "memory")[0] if form is Form.GEMM else 1.0
        loaded += counts @ (terms.weight_bytes[0] / memory)
        pause += counts @ (terms.share[0] * column(table, "swap")[0])
        fill += counts @ (terms.balanced_s[0] * column(table, "fill")[0])
    swapped = contexts > 1.0
    stage_s = slowest / float(params.outputs[0, 0] * params.clock_hz[0, 0])
    once = fill / chip.items + loaded / float(params.dram_bytes_per_s[0, 0]) + pause
    return frame_time_s(total, stage_s) + np.where(swapped, once, 0.0)


def run(without: str, verbose: bool) -> None:
    """Fit all chips but one; print the constants, and the errors of each chip."""
    chips = {name: chip_of(name) for name in CHIPS}
    owners = {name: _SAME.get(name, name) for name in CHIPS}
    fitted = [name for name in CHIPS if name != without]
    free = {("", key): value for key, value in _SHARED.items()}
    free |= {(o, k): v for o in dict.fromkeys(owners[n] for n in fitted) for k, v in _OWN[o].items()}
    names, start = list(free), np.log(np.array(list(free.values())))
    train = {name: np.array([not held_out(plan) for plan in chip.plans]) for name, chip in chips.items()}

    def constants(logs: Floats, chip: str) -> dict[str, float]:
        values = dict(zip(names, np.exp(logs).tolist(), strict=True))
        own = _OWN[owners[chip]] if (owners[chip], "gemm:swap") not in values else {}
        found = own | {key: value for (owner, key), value in values.items() if owner in ("", owners[chip])}
        swap, fill = found["gemm:swap"], found["gemm:fill"]
        return found | {"reduce:swap": swap, "reduce:fill": fill, "map:fill": fill}

    def cost(logs: Floats) -> float:
        gaps = []
        for name in fitted:
            chip = chips[name]
            gap = np.abs(np.log(times_s(chip, constants(logs, name)) / chip.seconds))[train[name]]
            gaps.append(np.minimum(gap, 1.0 + 0.1 * gap))
        return float(np.concatenate(gaps).mean() + _PULL * np.abs(logs - start).mean())

    best = descended(cost, start)
    for (owner, key), value in zip(names, np.exp(best), strict=True):
        sys.stdout.write(f"    {owner or 'all'} {key}: {value:.4g}\n")
    for name, chip in chips.items():
        times = times_s(chip, constants(best, name))
        for index in np.argsort(times / chip.seconds) if verbose else ():
            plan, mark = chip.plans[index], "" if train[name][index] else "held out"
            error = 100 * (times[index] / chip.seconds[index] - 1)
            line = f"{chip.seconds[index] * 1e3:9.3f} {times[index] * 1e3:9.3f} ms {error:+6.1f} % {mark}"
            sys.stdout.write(f"    {plan.workload:30} x{chip.items[index]:.0f} {line}\n")
        for label, chosen in (("fitted", train[name]), ("held out", ~train[name])):
            mean, median, p90 = errors(times[chosen], chip.seconds[chosen])
            mark = " (chip left out)" if name == without else ""
            sys.stdout.write(
                f"{name} {label:9} n {chosen.sum()} mean {mean:.1f} % median {median:.1f} % p90 {p90:.1f} %{mark}\n"
            )


if __name__ == "__main__":
    left = [arg.partition("=")[2] for arg in sys.argv if arg.startswith("-without=")]
    run(left[0] if left else "", "-v" in sys.argv)
