"""Fits the constants of llama.cpp's kernels to token rates of a few chips; the other chips are held out.

Run from the root of the repository: ``python -m benchmarks.fit_llama``. One set of constants for NVIDIA chips, but for
the share of the matrix units' peak, which each generation has for itself; one set for the GPUs of Apple.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from benchmarks.fit_npu import TRUTH, Floats
from hwsim.cost.pipeline import pipelined_s
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import lower, tables_of
from hwsim.graph.work import Form, Work
from hwsim.loading import library
from hwsim.loading.device import load_device
from hwsim.passes import apply_passes
from hwsim.specs.device import DeviceSpec
from hwsim.validation.language import chips_of
from hwsim.validation.measured import Row, read_measured
from hwsim.validation.networks import Plan, planned

FITTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "nvidia": ("rtx_3090", "rtx_4090", "rtx_a6000", "rtx_6000_ada", "a100_pcie_80gb"),
        "apple": ("apple_m1_max_gpu", "apple_m3_max_gpu"),
    }
)
"""Chips whose rows on one chip are fitted; every other chip, and every row on several chips, is held out."""
_STREAMS = ("map", "reduce", "move", "rmsnorm", "softmax", "rope", "silu_mul", "layernorm")
START: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "nvidia": {
            "launch": 3e-6,
            "gemm:clocks": 0.155,
            "quantized_linear:clocks": 0.115,
            "gemm:memory": 0.93,
            "quantized_linear:memory": 0.9,
            "matmul:memory": 0.5,
            "matmul:compute": 0.4,
            "streams:memory": 0.6,
            "rtx_3090:compute": 0.55,
            "rtx_4090:compute": 0.55,
            "rtx_a6000:compute": 0.6,
            "rtx_6000_ada:compute": 0.5,
            "a100_pcie_80gb:compute": 0.6,
        },
        "apple": {
            "launch": 5e-6,
            "quantized_linear:clocks": 0.2,
            "gemm:memory": 0.8,
            "quantized_linear:memory": 0.8,
            "matmul:memory": 0.5,
            "matmul:compute": 0.5,
            "streams:memory": 0.8,
            "apple_m1_max_gpu:compute": 0.6,
            "apple_m3_max_gpu:compute": 0.8,
            "packed:compute": 0.8,
        },
    }
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A row: the chip, its pieces and how they are put together."""

    spec: DeviceSpec
    plans: tuple[Plan, ...]
    chips: int
    together: int
    tokens: int
    time_s: float
    decode: bool


def measured() -> list[Measured]:
    """All rows of llama.cpp in the measured data."""
    found: list[Measured] = []
    for path, timing in (("edge/llamacpp_gpu_apple.csv", "llama.cpp"), ("gpu/model_dev.csv", "llama-bench")):
        file = read_measured(TRUTH / path)
        assert file is not None
        chosen = (row for row in file.rows if path.startswith("edge") or row.text("timing") == timing)
        found += [_measured(row, timing) for row in chosen]
    return found


def _measured(row: Row, timing: str) -> Measured:
    chip, chips = chips_of(row)
    spec, what = load_device(library.find_by_alias(chip)), planned(row, timing)
    decode = ("phase", "decode") in what.plans[0].parameters
    (time_s,) = row.figures.values()
    return Measured(spec, what.plans, chips, what.together, what.tokens, time_s, decode)


class Prices:
    """Times of the plans of one chip under changed constants; graphs are lowered once, equal rows priced once."""

    def __init__(self, spec: DeviceSpec, plans: Sequence[Plan]) -> None:
        self.spec, self.stack, self.plans = spec, spec.stack("llama_cpp"), tuple(dict.fromkeys(plans))
        place: dict[Work, int] = {}
        counts = []
        for plan in self.plans:
            low = lower(apply_passes(plan.graph(), self.stack.passes))
            rows = [place.setdefault(work, len(place)) for work in low.works]
            counts.append((rows, low.count()))
        self.count = np.zeros((len(self.plans), len(place)))
        for index, (rows, times) in enumerate(counts):
            np.add.at(self.count[index], rows, times)
        self.tables, self.size = tables_of(list(place)), len(place)

    def times_s(self, constants: Mapping[str, Mapping[str, float]], launch: float) -> dict[Plan, float]:
        """Seconds of each plan."""
        kernels = {
            name: {k: v for k, v in values.items() if k != "launch"} for name, values in self.stack.kernels.items()
        }
        for family, values in constants.items():
            kernels.setdefault(family, {}).update(values)
        changed = replace(self.stack, kernels=MappingProxyType(kernels), launch_s=launch)
        kind = KINDS[self.spec.kind]
        params = kind.params(self.spec, changed)
        times = np.zeros(self.size)
        for form, table in self.tables.items():
            if form is not Form.COLLECTIVE:
                times[table.index] = kind.price_form(table, params).time_s[0]
        return dict(zip(self.plans, (self.count @ times).tolist(), strict=True))


def constants_of(spec: DeviceSpec, free: Mapping[str, float]) -> tuple[dict[str, dict[str, float]], float]:
    """Constants by family for a chip, and the launch; a chip takes the ``compute`` of the one it is nearest to."""
    found: dict[str, dict[str, float]] = {"gemm": {"weight_copies": 1.0, "gemv": free["launch"]}}
    for name, value in free.items():
        families, _, constant = name.partition(":")
        if constant == "clocks":
            found.setdefault(families, {})["gemv_byte"] = value / spec.core.clock_hz
        elif families == "streams":
            for family in _STREAMS:
                found.setdefault(family, {})[constant] = min(value, 1.0)
        elif families == nearest(spec):
            found["gemm"]["compute"] = min(value * _SHARE_OF_NEAREST.get(spec.name, 1.0), 1.0)
            found["gemm"]["rate"] = 2.0 if spec.name.startswith(_HALF_SUMS) else 1.0
        elif families in ("gemm", "quantized_linear", "matmul"):
            found.setdefault(families, {})[constant] = min(value, 1.0)
    for family in ("quantized_linear", "matmul"):
        found[family] = {**found["gemm"], **found.get(family, {})}
    if "packed:compute" in free:
        found["quantized_linear"]["compute"] *= min(free["packed:compute"], 1.0)
    found["matmul"]["rate"] = 1.0
    return found, free["launch"]


_HALF_SUMS = ("rtx_30", "rtx_4070", "rtx_4080", "rtx_4090")
"""GeForce, whose matrix units are twice as fast with sums in fp16, as llama.cpp asks cuBLAS for."""
_SHARE_OF_NEAREST = {"h100_pcie": 0.62}
"""Hopper reaches 62 % of its peak with the instructions of Ampere, which cuBLAS had for fp16 sums."""
_NEAREST = {
    "rtx_3070": "rtx_3090",
    "rtx_3080": "rtx_3090",
    "rtx_3080_ti": "rtx_3090",
    "rtx_4070_ti": "rtx_4090",
    "rtx_4080": "rtx_4090",
    "a40": "rtx_a6000",
    "rtx_4000_ada": "rtx_4090",
    "rtx_5000_ada": "rtx_4090",
    "a100_sxm_80gb": "a100_pcie_80gb",
    "h100_pcie": "a100_pcie_80gb",
    "apple_m1_gpu_7": "apple_m1_max_gpu",
    "apple_m2_ultra_gpu": "apple_m1_max_gpu",
}


def nearest(spec: DeviceSpec) -> str:
    """The fitted chip whose constants a chip takes."""
    return _NEAREST.get(spec.name, spec.name)


def run(group: str, rows: list[Measured]) -> None:
    """Fit a group of chips and print constants and errors."""
    from scipy.optimize import minimize

    mine = [row for row in rows if row.spec.name.startswith("apple") == (group == "apple")]
    fitted = [row for row in mine if row.spec.name in FITTED[group] and row.chips == 1]
    names = list(START[group])

    def pricers(which: list[Measured]) -> dict[str, Prices]:
        by_name = {row.spec.name: row.spec for row in which}
        return {
            name: Prices(spec, [plan for row in which if row.spec.name == name for plan in row.plans])
            for name, spec in by_name.items()
        }

    def gap(logs: Floats, which: list[Measured], prices: dict[str, Prices]) -> Floats:
        free = dict(zip(names, np.exp(logs).tolist(), strict=True))
        known = {name: price.times_s(*constants_of(price.spec, free)) for name, price in prices.items()}
        gaps = []
        for row in which:
            pieces = [known[row.spec.name][plan] for plan in row.plans]
            time_s = pipelined_s(pieces, row.chips, together=row.together) / row.tokens
            gaps.append(np.log(time_s / row.time_s))
        return np.array(gaps)

    start = np.log(np.array(list(START[group].values())))
    usual = [row for row in fitted if len(row.plans) <= 2]
    few = pricers(usual)

    def cost(logs: Floats) -> float:
        return float(np.minimum(np.abs(gap(logs, usual, few)), 0.5).mean() + 0.01 * np.abs(logs - start).mean())

    best = start
    for _ in range(2):
        best = minimize(cost, best, method="Nelder-Mead", options={"maxfev": 350, "xatol": 1e-3, "fatol": 1e-5}).x
    for name, value in zip(names, np.exp(best), strict=True):
        sys.stdout.write(f"    {name}: {value:.4g}\n")
    gaps = np.exp(gap(best, mine, pricers(mine))) - 1.0
    selections: tuple[tuple[str, Callable[[Measured], bool]], ...] = (
        ("fitted", lambda row: row.spec.name in FITTED[group] and row.chips == 1),
        ("other chips", lambda row: row.spec.name not in FITTED[group] and row.chips == 1),
        ("several chips", lambda row: row.chips > 1),
    )
    for label, chosen in selections:
        for phase in (True, False):
            errors = np.array([e for e, row in zip(gaps, mine, strict=True) if chosen(row) and row.decode == phase])
            if len(errors):
                size = f"mean {100 * np.abs(errors).mean():.1f} median {100 * np.median(np.abs(errors)):.1f} %"
                sys.stdout.write(f"{group} {label} {'decode' if phase else 'prefill'} n {len(errors)} {size}\n")
    for name in sorted({row.spec.name for row in mine}):
        text = {
            phase: " ".join(
                f"{100 * e:+.0f}"
                for e, row in zip(gaps, mine, strict=True)
                if row.spec.name == name and row.decode == phase and row.chips == 1
            )
            for phase in (True, False)
        }
        sys.stdout.write(f"  {name:18} decode {text[True]}  prefill {text[False]}\n")


if __name__ == "__main__":
    everything = measured()
    for each in sys.argv[1:] or list(START):
        run(each, everything)
