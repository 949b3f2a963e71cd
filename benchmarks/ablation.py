"""What each part of the formula for matrix products is worth: held-out error after each step, by device.

    python -m benchmarks.ablation [--figure docs/accuracy_ablation.png]

Every step has its constants fitted to seven rows in ten of the measured bf16 products (``fit_gpu.held_out`` puts three
aside, whose mean absolute error is shown); the last two take the constants and the residual of the device files. Prints
a Markdown table and draws it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill
from types import MappingProxyType
from typing import Any

import matplotlib as mpl  # noqa: TID253 -- a script, not part of the package
import numpy as np

from benchmarks.fit_residuals import TOP, TRUTH, by_device, families
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import tables_of
from hwsim.loading.device import load_device
from hwsim.report.plots import COLORS
from hwsim.specs.device import DeviceSpec
from hwsim.validation.calibration import Family
from hwsim.validation.measured import read_measured
from hwsim.validation.search import least

DEVICES = {
    "a100_sxm_80gb": "cuda_graph",
    "h100_sxm": "cuda_graph",
    "l40s": "cuda_graph",
    "b200_sxm": "cuda_graph",
    "ascend_910b": "cann",
}
FAMILY = "linear.bf16"
STEPS = (
    "naive roofline",
    "+ launch",
    "+ ceilings",
    "+ tiles, waves, split-K",
    "+ L2 and saturation",
    "+ smooth residual",
)
EVALUATIONS = 700
Constants = Mapping[str, float]
Seconds = Callable[[Constants], np.ndarray]

# What the kinds' formulas reduce to without caches, saturation, exposed stores and soft corners.
PLAIN: Mapping[str, Constants] = MappingProxyType(
    {
        "simt_gpu": {
            "cache_speedup": 1.0,
            "saturation": 1e-9,
            "overlap": 100.0,
            "store_exposed": 0.0,
            "k_step": 0.0,
            "gemv": 1.0,
        },
        "systolic_npu": {"keep": 0.0, "weights_cached": 0.0, "overlap": 100.0},
    }
)
TILED: Mapping[str, Constants] = MappingProxyType(
    {
        "simt_gpu": {"starve": 20.0, "wave": 1e-7, "rounding": 0.3, "split": 2e-6},
        "systolic_npu": {"feed": 0.7},
    }
)
CEILINGS: Constants = MappingProxyType({"launch": 3e-6, "compute": 0.75, "memory": 0.75})


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Held-out errors in per cent of one device, a step each."""

    device: str
    rows: int
    errors: tuple[float, ...]


def roofline(family: Family, spec: DeviceSpec) -> Seconds:
    """The longer of operations and bytes at the ceilings given, after the launch."""
    (table,) = tables_of(family.works).values()
    peak = KINDS[spec.kind].peaks(spec)["bf16"]
    flop, moved = table.flop[0] / peak, (table.bytes_in + table.bytes_out)[0] / spec.main_memory.bandwidth_bytes_per_s

    def seconds(constants: Constants) -> np.ndarray:
        compute, memory = (constants.get(name, 1.0) for name in ("compute", "memory"))
        return np.asarray(constants.get("launch", 0.0) + np.maximum(flop / compute, moved / memory))

    return seconds


def formula(family: Family, spec: DeviceSpec, fixed: Constants) -> Seconds:
    """The kind's own formula with some constants fixed, without a residual."""
    (table,) = tables_of(family.works).values()
    kind: Any = KINDS[spec.kind]

    def seconds(constants: Constants) -> np.ndarray:
        families_ = {**family.stack.kernels}
        families_[FAMILY] = {**families_["gemm"], **fixed, **constants}
        stack = replace(family.stack, kernels=MappingProxyType(families_), residuals=())
        return np.asarray(kind.price_form(table, kind.params(spec, stack)).time_s[0])

    return seconds


def fitted(seconds: Seconds, start: Constants, family: Family) -> Constants:
    """The constants of the least error on the rows that are not put aside; shares stay below 1."""
    names, seen = list(start), ~family.held

    def decoded(place: np.ndarray) -> Constants:
        values = {name: math.exp(at) for name, at in zip(names, place, strict=True)}
        return {name: min(v, 1.0) if name in ("compute", "memory", "rounding") else v for name, v in values.items()}

    def loss(place: np.ndarray) -> float:
        ratio = seconds(decoded(place))[seen] / family.measured_s[seen]
        return float(np.minimum(np.abs(ratio - 1.0), 1.0).mean() + 0.25 * np.abs(np.log(ratio)).mean())

    place = np.log([start[name] for name in names])
    for step in (0.5, -0.3):
        place, _ = least(loss, place, step, EVALUATIONS)
    return decoded(place)


def ladder(device: str, family: Family) -> Ladder:
    """All steps of one device."""
    spec = load_device(device)
    plain, shipped = roofline(family, spec), formula(family, spec, {})
    tiled = formula(family, spec, PLAIN[spec.kind])
    (table,) = tables_of(family.works).values()
    correction = KINDS[spec.kind].params(spec, family.stack).kernels.correction(table)
    launched = fitted(plain, {"launch": CEILINGS["launch"]}, family)
    ceilings = fitted(plain, {**CEILINGS, **launched}, family)
    predictions = [
        plain({}),
        plain(launched),
        plain(ceilings),
        tiled(fitted(tiled, {**ceilings, **TILED[spec.kind]}, family)),
        shipped({}),
        shipped({}) * (1.0 if correction is None else correction[0]),
    ]
    off = [100.0 * np.abs(each / family.measured_s - 1.0)[family.held].mean() for each in predictions]
    return Ladder(device=device, rows=int(family.held.sum()), errors=tuple(map(float, off)))


def markdown(ladders: Iterable[Ladder]) -> str:
    """The table of docs/accuracy.md."""
    listed = list(ladders)
    head = " | ".join(f"{each.device} ({each.rows} rows)" for each in listed)
    lines = [f"| step | {head} |", f"|---|{'---|' * len(listed)}"]
    for at, step in enumerate(STEPS):
        lines.append(f"| {step} | {' | '.join(f'{each.errors[at]:.1f}' for each in listed)} |")
    return "\n".join(lines)


def draw(ladders: Iterable[Ladder], path: Path) -> None:
    """Error after each step, a line a device."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=(8.0, 4.2), layout="constrained")
    places = range(len(STEPS))
    for color, each in zip(COLORS, ladders, strict=False):
        ax.plot(places, each.errors, marker="o", color=color, label=each.device)
    ax.set_xticks(places, labels=[fill(step, 14) for step in STEPS])
    ax.set_yscale("log")
    ax.set_yticks([3, 5, 10, 20, 50], labels=["3", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.set_ylabel("mean absolute error, held-out rows (%)")
    ax.set_title("Matrix products in bf16: what each part of the formula is worth")
    ax.grid(axis="y", alpha=0.3)
    ax.legend()
    figure.savefig(path, dpi=110)


def main(arguments: Iterable[str]) -> int:
    """Prints the table and draws the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", type=Path, default=TOP / "docs" / "accuracy_ablation.png")
    given = parser.parse_args(list(arguments))
    files = by_device(read_measured(TRUTH / "gemm_dev.csv", strict=True))
    found = []
    for device, stack in DEVICES.items():
        members = [each for each in families(files[device], device) if each.stack.name == stack]
        found.append(ladder(device, next(each for each in members if each.name == FAMILY)))
    print(markdown(found))
    draw(found, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
