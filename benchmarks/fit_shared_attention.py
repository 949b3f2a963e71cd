"""Fits one set of constants to fused attention of several GPUs, for chips whose attention was not measured.

    python -m benchmarks.fit_shared_attention flash2|generations [--data ../shared/ground_truth/gpu] [--left-out]

Kernels are those that walk over tiles of keys (:func:`hwsim.cost.attention.walked_time`): what tells chips apart is
their clock, multiprocessors, shared memory, level-two cache, memory and power limit, and what tells kernels apart is
how many queries and keys a block takes, which their public sources say. Prefill and decode share all constants but what
only one of them does. Rows that a chip's own constants may not see are not fitted. ``flash2`` are the chips that run
FlashAttention-2; ``generations`` adds those whose kernels are of their own generation, to see how far such a set
carries. Prints the constants as on A100 and errors of all rows in per cent, decode and prefill; ``--left-out`` also
takes each chip away in turn. Two minutes, and eight.
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
from benchmarks.fit_shared_products import Products, decoded, encoded
from benchmarks.gpu_formulas import Space
from benchmarks.transfer import lent, measured_kernels
from hwsim.devices.base import KINDS
from hwsim.graph.lowering import Table, tables_of
from hwsim.loading.device import load_device
from hwsim.specs.software import SoftwareSpec
from hwsim.validation.calibration import Family
from hwsim.validation.search import least

Floats = NDArray[np.float64]
Constants = Mapping[str, float]
FIRST = "a100_sxm_80gb"
EVALUATIONS = 1000
WALK: Space = {
    "launch": (5e-7, 3e-5, True), "overlap": (1.0, 6.0, True), "compute": (0.3, 1.0, True), "memory": (0.3, 1.0, True),
    "cache_speedup": (1.0, 6.0, True), "resident_all": (0.2, 0.99, False), "resident_none": (1.0, 2.0, False),
    "narrow": (0.4, 1.0, True), "block": (1e-7, 2e-5, True), "step": (1e-8, 1e-5, True),
    "split": (1e-7, 3e-5, True), "group": (1e-8, 1e-5, True), "key_write": (1e-11, 1e-8, True),
}  # fmt: skip
START: Constants = MappingProxyType(
    {
        "launch": 4e-6, "overlap": 2.0, "compute": 0.6, "memory": 0.85, "cache_speedup": 1.2, "resident_all": 0.67,
        "resident_none": 1.2, "narrow": 0.85, "block": 4e-6, "step": 1.5e-6, "split": 6e-6, "group": 1e-6,
        "key_write": 1e-9,
    }
)  # fmt: skip
"""A launch of some 5,000 clocks, tiles that wait as long as for their products: where every search starts."""
FLASH2: Constants = MappingProxyType(
    {"rounding": 1.0, "query_tile": 64.0, "key_tile": 128.0, "packed": 0.0, "split_single": 0.0}
)
"""FlashAttention-2's kernels for keys in pages, as vLLM builds them: flash_fwd_launch_template.h, flash_api.cpp."""
LATER: Constants = MappingProxyType({**FLASH2, "query_tile": 128.0, "split_single": 1.0})
KERNELS: Mapping[str, Mapping[str, Constants]] = MappingProxyType(
    {
        "flash2": {FIRST: FLASH2, "l40s": FLASH2},
        "generations": {
            FIRST: FLASH2, "l40s": FLASH2, "h100_sxm": {**LATER, "packed": 1.0}, "b200_sxm": LATER,
        },
    }
)  # fmt: skip
FAMILIES = ("attention_decode.bf16", "attention_prefill.bf16")
SEARCHED = Products(family=("cuda_graph", "attention"), fmt="bf16", space=WALK, fixed={})


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Attention of one chip: what is priced and the seconds measured, decode and prefill; its kernels' habits."""

    chip: str
    habits: Constants
    tables: tuple[Table, ...]
    measured_s: tuple[Floats, ...]

    @staticmethod
    def of(chip: str, habits: Constants, families: Sequence[Family], *, whole: bool) -> Rows:
        """All rows of the chip, or those that its own constants may be fitted to."""
        chosen = [np.flatnonzero(~family.held | whole) for family in families]
        works = [[family.works[row] for row in rows] for family, rows in zip(families, chosen, strict=True)]
        tables = tuple(next(iter(tables_of(each).values())) for each in works)
        measured = tuple(family.measured_s[rows] for family, rows in zip(families, chosen, strict=True))
        return Rows(chip=chip, habits=habits, tables=tables, measured_s=measured)

    def ratios(self, constants: Constants) -> list[Floats]:
        """Predicted over measured time, decode and prefill, with constants as they are on A100."""
        spec = load_device(self.chip)
        kind = KINDS[spec.kind]
        params = kind.params(spec, on(self.chip, constants, self.habits))
        times = (kind.price_form(table, params).time_s[0] for table in self.tables)
        return [time / measured for time, measured in zip(times, self.measured_s, strict=True)]

    def errors(self, constants: Constants) -> list[float]:
        """Mean absolute errors in per cent, decode and prefill."""
        return [round(float(100.0 * np.abs(ratio - 1.0).mean()), 1) for ratio in self.ratios(constants)]


def on(chip: str, constants: Constants, habits: Constants = FLASH2) -> SoftwareSpec:
    """A stack of attention alone with what constants of A100 become on a chip, by the rule for relatives."""
    first = load_device(FIRST).software["cuda_graph"]
    given = MappingProxyType({**constants, **habits})
    both = {family.partition(".")[0]: given for family in FAMILIES}
    stack = replace(first, kernels=MappingProxyType(both), residuals=())
    return lent(stack, FIRST, chip, "bf16") if chip != FIRST else stack


def fit(rows: Sequence[Rows], evaluations: int = EVALUATIONS) -> dict[str, float]:
    """Constants with which all chips err least, each kind of attention of each chip counting as much as another."""

    def loss(place: Floats) -> float:
        constants, errors = decoded(place, SEARCHED), []
        for ratio in (ratio for each in rows for ratio in each.ratios(constants)):
            off = np.minimum(np.abs(np.log(ratio)), 3.0)
            errors.append(np.minimum(np.abs(ratio - 1.0), 1.0).mean() + 0.25 * off.mean())
        return float(np.mean(errors)) + 1e-3 * float(((place - start) ** 2).mean())

    start = encoded(START, SEARCHED)
    best = least(loss, start, 0.5, evaluations)
    for step in (-0.4, 0.25, 0.5):
        best = min(best, least(loss, best[0], step, evaluations), key=lambda found: found[1])
    return decoded(best[0], SEARCHED)


def measured(folder: Path, kernels: str, *, whole: bool = True) -> list[Rows]:
    """Rows of every chip of a group of kernels, all or those that are not held out."""
    known = measured_kernels(folder, "attention")
    found = [known["cuda_graph", family] for family in FAMILIES]
    return [
        Rows.of(chip, habits, [each[chip] for each in found], whole=whole) for chip, habits in KERNELS[kernels].items()
    ]


def main() -> None:
    """Print constants and errors."""
    parser = argparse.ArgumentParser(description="Constants of fused attention that several chips share.")
    parser.add_argument("kernels", choices=KERNELS)
    parser.add_argument("--data", type=Path, default=TRUTH)
    parser.add_argument("--left-out", action="store_true")
    given = parser.parse_args()
    seen, rows = (measured(given.data, given.kernels, whole=whole) for whole in (False, True))
    for left in [None, *(KERNELS[given.kernels] if given.left_out else ())]:
        constants = fit([each for each in seen if each.chip != left])
        shown = {each.chip: each.errors(constants) for each in rows}
        print(f"{f'without {left}' if left else 'all'}: {constants}\n  errors: {shown}", flush=True)


if __name__ == "__main__":
    main()
