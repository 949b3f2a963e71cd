"""One set of constants of products for several chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.fit_shared_products import SPACE, Rows, decoded, encoded, fit, with_products
from benchmarks.transfer import lent
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Gemm
from hwsim.loading.device import load_device

CHIPS = ("a100_sxm_80gb", "h100_sxm")
KNOWN = dict(load_device("h100_sxm").software["cuda_graph"].kernels["gemm"])


def rows(chip: str) -> Rows:
    """Products of which the time follows from H100's constants on any chip."""
    sizes = [(m, n, 4096) for m in (1, 64, 512, 4096) for n in (256, 1024, 4096, 16384)]
    works = [
        Gemm(
            kernel="linear", batch=1, m=m, n=n, k=k, a_elements=m * k, b_elements=k * n, a_format="bf16",
            b_format="bf16", compute_format="bf16", accumulator_format="fp32", out_format="bf16", b_is_weight=True,
        )
        for m, n, k in sizes
    ]  # fmt: skip
    (table,) = tables_of(works).values()
    stack = load_device(chip).software["cuda_graph"]
    found = Rows(chip=chip, table=table, stack=replace(stack, residuals=()), measured_s=np.ones(len(works)))
    true = lent(with_products(load_device("h100_sxm").software["cuda_graph"], KNOWN), "h100_sxm", chip, "bf16")
    return replace(found, measured_s=found.ratio(true))


def test_a_place_stands_for_constants_within_their_bounds() -> None:
    known = load_device("a100_sxm_80gb").software["cuda_graph"].kernels["gemm"]
    found = decoded(encoded({**known, "starve": 1e9}))
    inside = [
        name for name in SPACE if name not in ("starve", "gemv_k")
    ]  # close to a bound, where a place starts further in
    assert [found[name] for name in inside] == pytest.approx([known[name] for name in inside], rel=0.05)
    assert 100.0 < found["starve"] < SPACE["starve"][1]


@pytest.mark.slow
def test_shared_constants_err_less_than_those_of_one_chip() -> None:
    chips = [rows(chip) for chip in CHIPS]
    first = chips[0]
    shared = lent(with_products(first.stack, fit(chips, evaluations=150)), first.chip, CHIPS[1], "bf16")
    alone = lent(first.stack, first.chip, CHIPS[1], "bf16")
    errors = [np.abs(chips[1].ratio(stack) - 1.0).mean() for stack in (shared, alone)]
    assert errors[0] < 0.8 * errors[1]
