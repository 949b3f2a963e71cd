"""Fits one set of constants to products of several GPUs measured in the same way, for chips that were not.

    python -m benchmarks.fit_shared_products graph|eager|batched [--data ../shared/ground_truth/gpu] [--left-out]

Constants are those of one chip and become another's by the rule for chips that extend a relative
(:mod:`hwsim.cost.carrying`), so what a chip alone shows, or what its own rows leave open, counts only as far as the
others bear it; ``drawn`` is the share of its limit that the first chip draws in its best products. Where a host is
timed, its part is each chip's own, and for one left out the median of the others'. Prints the constants and the errors
of all rows; ``--left-out`` also takes each chip away in turn and prints what the others say of it, beside what its
nearest relative says. Some five minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit_residuals import TRUTH
from benchmarks.gpu_formulas import GEMM, VECTOR, Space
from benchmarks.transfer import RELATIVES, lent, measured_kernels
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import Table, tables_of
from hwsim.loading.device import load_device
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.calibration import Family
from hwsim.validation.search import least

Floats = NDArray[np.float64]
EDGE = 0.02  # of the way from a bound: where a constant known to lie beyond it starts
EVALUATIONS = 700
_DRAWN: Space = {"drawn": (0.5, 1.5, True)}
_WIDER: Space = GEMM | _DRAWN | {"resident_all": (0.2, 1.6, False), "resident_none": (1.0, 4.0, False)}


@dataclass(frozen=True, kw_only=True)
class Products:
    """Products that share constants: stack and kernel, format, chips (none: all), what is free, what is not."""

    family: tuple[str, str]
    fmt: str
    space: Space
    fixed: Mapping[str, float]
    chips: tuple[str, ...] = ()

    def own(self, stack: SoftwareSpec) -> Mapping[str, float]:
        """A chip's own constants of them."""
        label = self.family[1].partition(".")[0].replace("linear", "gemm")
        names = (self.family[1], f"{label}.{self.fmt}", label)
        return next(stack.kernels[name] for name in names if name in stack.kernels)


PRODUCTS = MappingProxyType(
    {
        "graph": Products(
            family=("cuda_graph", "linear.bf16"), fmt="bf16", space=GEMM | VECTOR, fixed={"weight_copies": 6.0}
        ),
        "eager": Products(  # the library of Volta and later: Pascal's kernels and another maker's are others
            family=("eager", "linear.fp32"),
            fmt="fp32",
            space=_WIDER,
            fixed={"weight_copies": 1.0, "launch": 3e-6},
            chips=("a100_pcie_40gb", "v100_pcie", "t4"),
        ),
        "batched": Products(  # shown, not shipped: A100's kernels, which later chips have too, are not the others'
            family=("eager", "matmul.fp32"),
            fmt="fp32",
            space=_WIDER | {"split": (1e-8, 5e-5, True), "resident_none": (1.0, 8.0, False)},
            fixed={"weight_copies": 1.0, "launch": 3e-6},
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Products of one chip: what is priced, the seconds measured, the chip's own constants and stack."""

    chip: str
    table: Table
    stack: SoftwareSpec
    own: Mapping[str, float]
    measured_s: Floats

    @staticmethod
    def of(products: Products, family: Family, chip: str, most: int) -> Rows:
        """At most so many rows of a family, always the same ones."""
        chosen = np.sort(np.random.default_rng(0).permutation(len(family.works))[:most])
        (table,) = tables_of([family.works[row] for row in chosen]).values()
        own, stack = products.own(family.stack), replace(family.stack, residuals=())
        return Rows(chip=chip, table=table, stack=stack, own=own, measured_s=family.measured_s[chosen])

    def ratio(self, constants: Mapping[str, float]) -> Floats:
        """Predicted over measured time with these constants of products."""
        spec = load_device(self.chip)
        kind = KINDS[spec.kind]
        params = kind.params(spec, with_products(self.stack, constants))
        found: Floats = kind.price_form(self.table, params).time_s[0] / self.measured_s
        return found


def with_products(stack: SoftwareSpec, constants: Mapping[str, float]) -> SoftwareSpec:
    """The stack with these constants of products alone."""
    return replace(stack, kernels=MappingProxyType({"gemm": MappingProxyType(dict(constants))}))


def on(chip: str, first: Rows, constants: Mapping[str, float], fmt: str) -> dict[str, float]:
    """What constants of the first chip become on another, with the first one's share of its limit if they say it."""
    kept = {name: value for name, value in constants.items() if name != "drawn"}
    stack = lent(with_products(first.stack, kept), first.chip, chip, fmt, constants.get("drawn"))
    return dict(stack.kernels["gemm"])


def hosted(constants: Mapping[str, float], dispatch_s: float) -> dict[str, float]:
    """The constants with a host's time."""
    return {**constants, "dispatch": dispatch_s}


def decoded(place: Floats, products: Products) -> dict[str, float]:
    """Constants at a place of the search, whose numbers have no bounds; to three digits."""
    found = {}
    for at, (name, (low, high, logarithmic)) in zip(place, products.space.items(), strict=True):
        share = 1.0 / (1.0 + np.exp(-np.clip(at, -40.0, 40.0)))
        value = low * (high / low) ** share if logarithmic else low + (high - low) * share
        found[name] = float(f"{value:.3g}")
    return found | products.fixed


def encoded(constants: Mapping[str, float], products: Products) -> Floats:
    """The place of constants; one beyond its bounds lies just inside."""
    found = []
    for name, (low, high, logarithmic) in products.space.items():
        value = min(max(constants.get(name, 0.9 if name == "drawn" else low), low), high)
        share = np.log(value / low) / np.log(high / low) if logarithmic else (value - low) / (high - low)
        share = min(max(share, EDGE), 1.0 - EDGE)
        found.append(np.log(share / (1.0 - share)))
    return np.array(found)


def fit(rows: Sequence[Rows], products: Products, evaluations: int = EVALUATIONS) -> dict[str, float]:
    """Constants of the first chip with which all of them err least, each chip counting as much as another."""
    first, fmt = rows[0], products.fmt

    def loss(place: Floats) -> float:
        constants, errors = decoded(place, products), []
        for each in rows:
            ratio = each.ratio(hosted(on(each.chip, first, constants, fmt), each.own.get("dispatch", 0.0)))
            off = np.minimum(np.abs(np.log(ratio)), 3.0)
            errors.append(np.minimum(np.abs(ratio - 1.0), 1.0).mean() + 0.25 * off.mean())
        return float(np.mean(errors)) + 1e-4 * float((place**2).mean())

    starts = [encoded(on(first.chip, each, each.own, fmt), products) for each in rows]
    best = min((least(loss, start, 0.5, evaluations) for start in starts), key=lambda found: found[1])
    for step in (-0.4, 0.25):
        best = min(best, least(loss, best[0], step, evaluations), key=lambda found: found[1])
    return decoded(best[0], products)


def main() -> None:
    """Print constants and errors."""
    parser = argparse.ArgumentParser(description="Constants of products that several chips share.")
    parser.add_argument("products", choices=PRODUCTS)
    parser.add_argument("--data", type=Path, default=TRUTH)
    parser.add_argument("--rows", type=int, default=250, help="of each chip, that are fitted")
    parser.add_argument("--left-out", action="store_true")
    given = parser.parse_args()
    products = PRODUCTS[given.products]
    families = measured_kernels(given.data)[products.family]
    families = {chip: families[chip] for chip in products.chips or families}
    rows = {chip: Rows.of(products, family, chip, given.rows) for chip, family in families.items()}
    whole = {chip: Rows.of(products, family, chip, len(family.works)) for chip, family in families.items()}
    for left in [None, *(families if given.left_out else ())]:
        known = [each for chip, each in rows.items() if chip != left]
        constants, first = fit(known, products), known[0]
        host_s = float(np.median([each.own.get("dispatch", 0.0) for each in known]))

        def error(chip: str, own: Mapping[str, float], host_s: float) -> float:
            return float(100.0 * np.abs(whole[chip].ratio(hosted(own, host_s)) - 1.0).mean())

        found = {}
        for chip, each in rows.items():
            time_s = host_s if chip == left else each.own.get("dispatch", 0.0)
            found[chip] = round(error(chip, on(chip, first, constants, products.fmt), time_s), 1)
        print(f"{f'without {left}' if left else 'all'}, as on {first.chip}: {constants}\n  errors: {found}", flush=True)
        if left:
            nearest = rows[next(chip for chip in RELATIVES[left] if chip in rows)]
            alone = on(left, nearest, nearest.own, products.fmt)
            print(
                f"  from {nearest.chip} alone: {error(left, alone, nearest.own.get('dispatch', 0.0)):.1f}", flush=True
            )


if __name__ == "__main__":
    main()
