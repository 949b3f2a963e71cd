"""One set of constants of products for several chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.carry import COPIES, STACK, constants
from benchmarks.fit_shared_products import PRODUCTS, Rows, decoded, encoded, fit, on, with_products
from benchmarks.transfer import lent
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Gemm
from hwsim.loading.device import load_device

GRAPH = PRODUCTS["graph"]
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
    found = Rows(
        chip=chip, table=table, stack=replace(stack, residuals=()), own=GRAPH.own(stack), measured_s=np.ones(len(works))
    )
    true = lent(with_products(load_device("h100_sxm").software["cuda_graph"], KNOWN), "h100_sxm", chip, "bf16")
    return replace(found, measured_s=found.ratio(true.kernels["gemm"]))


def test_a_place_stands_for_constants_within_their_bounds() -> None:
    known = load_device("a100_sxm_80gb").software["cuda_graph"].kernels["gemm"]
    found = decoded(encoded({**known, "starve": 1e9}, GRAPH), GRAPH)
    inside = [
        name for name in GRAPH.space if name not in ("starve", "gemv_k")
    ]  # close to a bound, where a place starts further in
    assert [found[name] for name in inside] == pytest.approx([known[name] for name in inside], rel=0.05)
    assert 100.0 < found["starve"] < GRAPH.space["starve"][1]


@pytest.mark.slow
def test_shared_constants_err_less_than_those_of_one_chip() -> None:
    chips = [rows(chip) for chip in CHIPS]
    first = chips[0]
    shared = on(CHIPS[1], first, fit(chips, GRAPH, evaluations=150), "bf16")
    alone = on(CHIPS[1], first, first.own, "bf16")
    errors = [np.abs(chips[1].ratio(found) - 1.0).mean() for found in (shared, alone)]
    assert errors[0] < 0.8 * errors[1]


def test_the_more_a_chip_drew_the_lower_is_anothers_clock() -> None:
    first = rows("a100_sxm_80gb")
    found = [on("l4", first, {"compute": 0.8, "drawn": drawn}, "bf16")["compute"] for drawn in (0.6, 0.9, 1.2)]
    assert found == sorted(found, reverse=True)
    assert found[2] < found[0]


def test_what_several_chips_share_is_carried_but_for_the_host() -> None:
    """L4's fp32 products: the host of A100, a clock that 72 W leave; P100 lends P4 its own."""
    copies = {
        copy.chip: dict(constants(copy))
        for copy in COPIES
        if copy.stack == STACK and copy.chip in ("l4", "h100_sxm", "p4")
    }
    a100 = load_device("a100_pcie_40gb").software["eager"].kernels["gemm.fp32"]
    l4, h100 = (copies[chip]["gemm.fp32"] for chip in ("l4", "h100_sxm"))
    assert l4["dispatch"] == h100["dispatch"] == a100["dispatch"]
    assert l4["starve"] == h100["starve"] != a100["starve"]
    assert l4["compute"] < 0.5 * h100["compute"]
    assert copies["p4"]["gemm.fp32"]["starve"] == load_device("p100_pcie").software["eager"].kernels["gemm"]["starve"]
