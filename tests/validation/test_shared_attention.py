"""One set of constants of fused attention for several chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.carry import ATTENTION, COPIES, GRAPHS, constants
from benchmarks.fit_shared_attention import FIRST, FLASH2, START, Rows, fit, on
from hwsim.graph.lowering import tables_of
from hwsim.graph.work import Attention


def rows(chip: str, known: dict[str, float]) -> Rows:
    """Attention of which the time follows from known constants on any chip."""
    works = [
        [
            Attention(
                kernel=kernel, batch=batch, heads=16, kv_heads=4, seq_q=1 if decode else keys, seq_kv=keys,
                head_dim=128, causal=not decode, format="bf16", kv_format="bf16", out_format="bf16",
            )
            for batch in (1, 8, 64)
            for keys in (32, 512, 4096)
        ]
        for kernel, decode in (("attention_decode", True), ("attention_prefill", False))
    ]  # fmt: skip
    tables = tuple(next(iter(tables_of(each).values())) for each in works)
    found = Rows(chip=chip, habits=FLASH2, tables=tables, measured_s=(np.ones(9), np.ones(9)))
    return replace(found, measured_s=tuple(found.ratios(known)))


def test_constants_of_one_chip_say_what_another_takes() -> None:
    known = {**START, "step": 3e-6}
    measured = rows("l40s", known)
    assert measured.errors(known) == [0.0, 0.0]
    assert min(measured.errors(START)) > 1.0


@pytest.mark.slow
def test_a_search_moves_towards_constants_that_chips_share() -> None:
    known = {**START, "step": 4e-6, "block": 8e-6}
    chips = [rows(chip, known) for chip in (FIRST, "l40s")]
    found = fit(chips, evaluations=12)
    before, after = (float(np.mean([each.errors(given) for each in chips])) for given in (START, found))
    assert after < 0.8 * before


def test_a_faster_clock_shortens_launches_and_steps() -> None:
    first, other = (on(chip, ATTENTION).kernels["attention_decode"] for chip in (FIRST, "rtx_pro_6000_server"))
    share = 1.41 / 2.43
    for name in ("launch", "step"):
        assert other[name] == pytest.approx(first[name] * share)
    assert other["split"] == first["split"]


def test_files_say_of_each_kernel_what_it_does() -> None:
    copy = next(copy for copy in COPIES if copy.stack == GRAPHS)
    prefill, decode = (dict(given) for _, given in constants(copy))
    assert set(prefill) ^ set(decode) == {"key_write", "packed", "split", "group", "split_single"}
