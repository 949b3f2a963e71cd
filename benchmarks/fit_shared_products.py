"""Fits one set of constants to bf16 products of every GPU measured under graph replay, for chips that were not.

    python -m benchmarks.fit_shared_products [--data ../shared/ground_truth/gpu] [--rows 250] [--left-out]

Constants are those of one chip and become another's by the rule for chips that extend a relative
(:mod:`hwsim.cost.carrying`), so what a chip alone shows, or what its own rows leave open, counts only as far as the
others bear it. Prints the constants and the errors of all rows; ``--left-out`` also takes each chip away in turn and
prints what the others say of it, beside what its nearest relative says. Some five minutes.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from benchmarks.fit_gpu import GEMM, VECTOR, Space
from benchmarks.fit_residuals import TRUTH
from benchmarks.transfer import RELATIVES, lent, measured_kernels
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import Table, tables_of
from hwsim.loading.device import load_device
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.calibration import Family
from hwsim.validation.search import least

Floats = NDArray[np.float64]
FAMILY = ("cuda_graph", "linear.bf16")
SPACE: Space = GEMM | VECTOR
EDGE = 0.02  # of the way from a bound: where a constant known to lie beyond it starts
EVALUATIONS = 700


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Products of one chip: what is priced, and the seconds that were measured."""

    chip: str
    table: Table
    stack: SoftwareSpec
    measured_s: Floats

    @staticmethod
    def of(family: Family, chip: str, most: int) -> Rows:
        """At most so many rows of a family, always the same ones."""
        chosen = np.sort(np.random.default_rng(0).permutation(len(family.works))[:most])
        (table,) = tables_of([family.works[row] for row in chosen]).values()
        stack = replace(family.stack, residuals=())
        return Rows(chip=chip, table=table, stack=stack, measured_s=family.measured_s[chosen])

    def ratio(self, stack: SoftwareSpec) -> Floats:
        """Predicted over measured time."""
        spec = load_device(self.chip)
        kind = KINDS[spec.kind]
        found: Floats = kind.price_form(self.table, kind.params(spec, stack)).time_s[0] / self.measured_s
        return found


def with_products(stack: SoftwareSpec, constants: Mapping[str, float]) -> SoftwareSpec:
    """The stack with these constants of products alone."""
    return replace(stack, kernels=MappingProxyType({"gemm": MappingProxyType(dict(constants))}))


def decoded(place: Floats) -> dict[str, float]:
    """Constants at a place of the search, whose numbers have no bounds; to three digits."""
    found = {"weight_copies": 6.0}
    for at, (name, (low, high, logarithmic)) in zip(place, SPACE.items(), strict=True):
        share = 1.0 / (1.0 + np.exp(-np.clip(at, -40.0, 40.0)))
        value = low * (high / low) ** share if logarithmic else low + (high - low) * share
        found[name] = float(f"{value:.3g}")
    return found


def encoded(constants: Mapping[str, float]) -> Floats:
    """The place of constants; one beyond its bounds lies just inside."""
    found = []
    for name, (low, high, logarithmic) in SPACE.items():
        value = min(max(constants.get(name, low), low), high)
        share = np.log(value / low) / np.log(high / low) if logarithmic else (value - low) / (high - low)
        share = min(max(share, EDGE), 1.0 - EDGE)
        found.append(np.log(share / (1.0 - share)))
    return np.array(found)


def fit(rows: Sequence[Rows], evaluations: int = EVALUATIONS) -> dict[str, float]:
    """Constants of the first chip with which all of them err least, each chip counting as much as another."""
    first = rows[0]

    def loss(place: Floats) -> float:
        stack = with_products(first.stack, decoded(place))
        off = [each.ratio(lent(stack, first.chip, each.chip, "bf16")) for each in rows]
        errors = [
            np.minimum(np.abs(ratio - 1.0), 1.0).mean() + 0.25 * np.minimum(np.abs(np.log(ratio)), 3.0).mean()
            for ratio in off
        ]
        return float(np.mean(errors)) + 1e-4 * float((place**2).mean())

    starts = [encoded(lent(each.stack, each.chip, first.chip, "bf16").kernels["gemm"]) for each in rows]
    best = min((least(loss, start, 0.5, evaluations) for start in starts), key=lambda found: found[1])
    for step in (-0.4, 0.25):
        best = min(best, least(loss, best[0], step, evaluations), key=lambda found: found[1])
    return decoded(best[0])


def error(family: Family, chip: str, stack: SoftwareSpec) -> float:
    """Mean absolute error in per cent over all rows."""
    return float(100.0 * np.abs(Rows.of(family, chip, len(family.works)).ratio(stack) - 1.0).mean())


def main() -> None:
    """Print constants and errors."""
    parser = argparse.ArgumentParser(description="Constants of products that several chips share.")
    parser.add_argument("--data", type=Path, default=TRUTH)
    parser.add_argument("--rows", type=int, default=250, help="of each chip, that are fitted")
    parser.add_argument("--left-out", action="store_true")
    given = parser.parse_args()
    families = measured_kernels(given.data)[FAMILY]
    rows = {chip: Rows.of(family, chip, given.rows) for chip, family in families.items()}
    for left in [None, *(families if given.left_out else ())]:
        known = [each for chip, each in rows.items() if chip != left]
        constants, first = fit(known), known[0]
        stack = with_products(first.stack, constants)
        what = f"without {left}" if left else "all"
        errors = ", ".join(
            f"{chip} {error(family, chip, lent(stack, first.chip, chip, 'bf16')):.1f}"
            for chip, family in families.items()
        )
        print(f"{what}, as on {first.chip}: {constants}\n  errors in per cent: {errors}", flush=True)
        if left:
            nearest = RELATIVES[left][0]
            relative = lent(rows[nearest].stack, nearest, left, "bf16")
            print(f"  from {nearest} alone: {error(families[left], left, relative):.1f}", flush=True)


if __name__ == "__main__":
    main()
