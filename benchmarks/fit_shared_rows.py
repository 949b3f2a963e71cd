"""Fits what several GPUs share in softmax and layer norm of one software, for chips that were not measured.

    python -m benchmarks.fit_shared_rows [--data ../shared/ground_truth/gpu] [--left-out]

PyTorch's kernels are known (:data:`KERNELS`: threads of a row, reads, columns of which a row waits in shared memory),
and what a chip holds of the rows in flight follows from its data sheet (:mod:`hwsim.cost.norm`). So one set serves all:
steps in clocks, the columns' tails, the residence of rows in both caches. A chip's own are the share of its memory's
rate that element-wise kernels get and its host. Fitted to the seven rows in ten that are not put aside
(``fit_gpu.held_out``). Prints the constants and the errors of fitted rows and of those put aside; ``--left-out`` also
takes each chip away in turn and prints errors over all its rows with the median host of the others: once with the
chip's own share of the memory, once with its nearest relative's. About ten minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit_gpu import Space
from benchmarks.fit_residuals import TRUTH
from benchmarks.transfer import RELATIVES, facts, measured_kernels
from hwsim.cost.carrying import carried
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import Table, tables_of
from hwsim.loading.device import load_device
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.calibration import Family
from hwsim.validation.search import least

Floats = NDArray[np.float64]
STACK, FORMAT = "eager", "fp32"
_SOFTMAX = {"knee": 1024.0, "extra_pass": 2.0}
_LAYERNORM = {"knee": 0.0, "extra_pass": 1.0}
KERNELS: Mapping[str, Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "softmax": {
            "cuda": _SOFTMAX | {"threads": 512.0, "thread_bytes": 32.0},
            "rocm": _SOFTMAX | {"threads": 1024.0, "staged": 4.0},
        },
        "layernorm": {"cuda": _LAYERNORM | {"threads": 128.0}, "rocm": _LAYERNORM | {"threads": 256.0}},
    }
)
"""PyTorch's kernels (``SoftMax.cu``, ``layer_norm_kernel.cu``): 2.1 and later, as measured on MI100, give a softmax
blocks of 1,024 threads and keep rows of whole 16 bytes in shared memory; layer norm takes four warps, of 64 on AMD."""
FIXED = {
    "launch": 3e-6,
    "floor": 0.0,
    "resident_all": 0.5,
    "resident_none": 1.2,
    "saturation": 0.5,
    "row": 0.0,
    "col": 0.0,
}
FIRST, SPEEDUP = "a100_pcie_40gb", 1.5  # the one chip whose cache holds whole tensors of these rows, and by how much
CHIP: Space = {
    "near": (0.01, 1.0, True), "near_all": (0.1, 2.0, True), "near_width": (0.05, 3.0, True),
    "flight_all": (0.05, 3.0, True), "flight_width": (0.1, 3.0, True),
}  # fmt: skip
KERNEL: Space = {
    "overlap": (1.01, 8.0, True), "lead": (0.02, 20.0, True), "clocks": (10.0, 5000.0, True), "tail": (0.05, 10.0, True)
}  # fmt: skip
HOSTS = np.linspace(0.0, 90e-6, 91)
EVALUATIONS = 2500


def software(chip: str) -> str:
    """Which build of PyTorch a chip runs."""
    return "rocm" if load_device(chip).name.startswith("mi") else "cuda"


def stream_share(chip: str) -> float:
    """Share of its memory's rate that a chip's element-wise kernels get where they read as much as they write."""
    kernels = load_device(chip).software[STACK].kernels
    own = kernels.get(f"map.{FORMAT}", kernels.get("map", {}))
    return 2.0 * own["memory"] / (1.0 + own.get("write", 1.0))


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of one kernel on one chip: what is priced, the stack, the seconds measured, which are put aside."""

    chip: str
    kernel: str
    table: Table
    stack: SoftwareSpec
    measured_s: Floats
    held: NDArray[np.bool_]

    @staticmethod
    def of(kernel: str, family: Family, chip: str) -> Rows:
        """All rows of a family."""
        (table,) = tables_of(family.works).values()
        stack = replace(family.stack, residuals=())
        return Rows(chip=chip, kernel=kernel, table=table, stack=stack, measured_s=family.measured_s, held=family.held)

    def kernel_s(self, constants: Mapping[str, float]) -> Floats:
        """Seconds without the host's part."""
        spec = load_device(self.chip)
        stack = replace(self.stack, kernels=MappingProxyType({self.kernel: {**constants, "dispatch": 0.0}}))
        kind = KINDS[spec.kind]
        found: Floats = kind.price_form(self.table, kind.params(spec, stack)).time_s[0]
        return found

    def hosted(self, constants: Mapping[str, float]) -> tuple[float, float]:
        """The host's time with which the rows that are not put aside err least, and that error as a share."""
        ratio = (self.kernel_s(constants)[None] + HOSTS[:, None]) / self.measured_s
        errors = np.abs(ratio[:, ~self.held] - 1.0).mean(axis=1)
        best = int(np.argmin(errors))
        return float(HOSTS[best]), float(errors[best])

    def error(self, constants: Mapping[str, float], host_s: float) -> Floats:
        """Each row's error as a share."""
        return np.asarray(np.abs((self.kernel_s(constants) + host_s) / self.measured_s - 1.0), dtype=np.float64)


def on(chip: str, kernel: str, shared: Mapping[str, float], memory: float | None = None) -> dict[str, float]:
    """A kernel's constants on a chip, but for the host: what all share, the chip's clock, its share of the memory."""
    core = load_device(chip).core
    own = {name: shared[f"{kernel}.{name}"] for name in KERNEL}
    step = own.pop("clocks") / float(core.vector_clock_hz or core.clock_hz)
    held = {name: shared[name] for name in ("near", "near_all", "flight_all")}
    held |= {f"{name}_none": shared[f"{name}_all"] + shared[f"{name}_width"] for name in ("near", "flight")}
    cached = carried("cache_speedup", SPEEDUP, facts(load_device(chip)), facts(load_device(FIRST)))
    found = {**FIXED, "cache_speedup": cached, **KERNELS[kernel][software(chip)], **own, **held, "step": step}
    return found | {"memory": stream_share(chip) if memory is None else memory}


def _space() -> dict[str, tuple[float, float, bool]]:
    return {**CHIP, **{f"{kernel}.{name}": bounds for kernel in KERNELS for name, bounds in KERNEL.items()}}


def decoded(place: Floats) -> dict[str, float]:
    """What is shared, at a place of the search, whose numbers have no bounds; to three digits."""
    shares = 1.0 / (1.0 + np.exp(-np.clip(place, -40.0, 40.0)))
    values = (low * (high / low) ** share for share, (low, high, _) in zip(shares, _space().values(), strict=True))
    return {name: float(f"{value:.3g}") for name, value in zip(_space(), values, strict=True)}


def encoded(shared: Mapping[str, float]) -> Floats:
    """The place of what is shared, a little inside its bounds."""
    shares = [np.log(shared[name] / low) / np.log(high / low) for name, (low, high, _) in _space().items()]
    inside = np.clip(shares, 0.02, 0.98)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)


START = {"near": 0.3, "near_all": 0.2, "near_width": 1.0, "flight_all": 0.4, "flight_width": 1.9}
START |= {f"{kernel}.{name}": value for kernel in KERNELS for name, value in (("overlap", 6.0), ("tail", 2.0))}
START |= {f"{kernel}.{name}": value for kernel in KERNELS for name, value in (("lead", 1.0), ("clocks", 1500.0))}


def fit(
    rows: Sequence[Rows], evaluations: int = EVALUATIONS, start: Mapping[str, float] | None = None
) -> dict[str, float]:
    """What all chips share with which they err least, each kernel and chip counting as much as another."""

    def loss(place: Floats) -> float:
        shared = decoded(place)
        errors = [each.hosted(on(each.chip, each.kernel, shared))[1] for each in rows]
        return float(np.mean(errors)) + 1e-4 * float((place**2).mean())

    best = least(loss, encoded(start or START), 0.5, evaluations)
    for step in (-0.5, 0.4):
        best = min(best, least(loss, best[0], step, evaluations), key=lambda found: found[1])
    return decoded(best[0])


def main() -> None:
    """Print constants and errors."""
    parser = argparse.ArgumentParser(description="Constants of softmax and layer norm that several chips share.")
    parser.add_argument("--data", type=Path, default=TRUTH)
    parser.add_argument("--left-out", action="store_true")
    given = parser.parse_args()
    rows = [
        Rows.of(kernel, family, chip)
        for kernel in KERNELS
        for chip, family in measured_kernels(given.data)[STACK, f"{kernel}.{FORMAT}"].items()
    ]
    shared = fit(rows)
    print(shared)
    for each in rows:
        host_s, error = each.hosted(on(each.chip, each.kernel, shared))
        held = each.error(on(each.chip, each.kernel, shared), host_s)[each.held].mean()
        print(
            f"  {each.kernel}, {each.chip}: fitted {100 * error:.1f} %, put aside {100 * held:.1f}, "
            f"with a host of {1e6 * host_s:.0f} us",
            flush=True,
        )
    for left in dict.fromkeys(each.chip for each in rows) if given.left_out else ():
        others = [each for each in rows if each.chip != left]
        found = fit(others, EVALUATIONS // 2, shared)
        for each in (each for each in rows if each.chip == left):
            hosts = [one.hosted(on(one.chip, one.kernel, found))[0] for one in others if one.kernel == each.kernel]
            errors = [
                100.0 * each.error(on(left, each.kernel, found, memory), float(np.median(hosts))).mean()
                for memory in (None, stream_share(RELATIVES[left][0]))
            ]
            alone = 100.0 * each.hosted(on(left, each.kernel, found))[1]
            print(
                f"without {left}: {each.kernel} {errors[0]:.1f} %; with the relative's share of the memory "
                f"{errors[1]:.1f}; with its own host {alone:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
