"""What a power meter that remembers a second shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwsim
from benchmarks.fit_gpu import SHAPE, held_out
from hwsim.cost.power import average_power_w
from hwsim.graph.lowering import lower
from hwsim.graph.work import Work
from hwsim.loading.device import load_device
from hwsim.validation.measured import MeasuredFile, read_measured
from hwsim.validation.meter import metered, older_w, ran_before, run_s, shown_w
from hwsim.validation.predict import predict
from hwsim.validation.score import scored
from hwsim.validation.sustained import sustained


def product(m: int, n: int, k: int) -> Work:
    return next(iter(lower(hwsim.ops.matmul(m=m, n=n, k=k, dtype="bf16")).works))


def attention(**sizes: Any) -> Work:
    return next(iter(lower(hwsim.ops.attention(head_dim=128, dtype="bf16", **sizes)).works))


def test_a_run_of_a_second_shows_half_of_what_was_before() -> None:
    """Readings after 0, 0.1, ... 1 s are 0, 10, ... 100 % of the run: half of 800 W, half of the 400 W before."""
    assert shown_w(800.0, 1.0, 400.0) == pytest.approx(600.0)


def test_a_short_run_shows_mostly_what_was_before() -> None:
    """Readings after 0, 0.1 and 0.2 s: a tenth of the run."""
    assert shown_w(1000.0, 0.24, 500.0) == pytest.approx(550.0)


def test_short_runs_before_leave_more_of_the_pauses_between_them() -> None:
    """0.3 s of a run and 0.1 s of a pause alternate: a quarter of the second before is pause."""
    assert older_w(700.0, 0.3, 0.1, 300.0) == pytest.approx(600.0)


def test_a_run_is_a_second_or_three_thousand_repeats_of_six_products() -> None:
    assert run_s(product(64, 64, 64), 10e-6) == pytest.approx(3000 * 6 * 10e-6)
    assert run_s(attention(batch=1, heads=8, kv_heads=8, seq_q=1, seq_kv=64), 10e-6) == pytest.approx(3000 * 10e-6)
    assert run_s(product(64, 64, 64), 1e-3) == pytest.approx(1.0, abs=6e-3)


def test_the_longest_sum_follows_the_shortest_of_the_next_wider_product() -> None:
    for k, (n_before, k_before) in {16384: (768, 51200), 65536: (1024, 32)}.items():
        alone = replace(product(256, 768, k), cycled_bytes=0)
        assert ran_before(alone).work == replace(product(256, n_before, k_before), cycled_bytes=0)


def test_batched_products_before_are_as_large_in_every_batch() -> None:
    (batched,) = lower(hwsim.ops.matmul(batch=8, m=64, n=128, k=256, dtype="bf16")).works
    before = ran_before(batched).work
    assert (before.k, before.a_elements, before.b_elements) == (512, 8 * 64 * 512, 8 * 128 * 512)


def test_a_product_after_a_small_one_reads_below_the_cap_at_which_it_runs() -> None:
    """A product of 65,536-long sums and one of 16,384-long ones draw the cap; the first follows a tiny product."""
    spec = load_device("b200_sxm")
    works = [product(4096, 768, 65536), product(4096, 768, 16384)]
    seconds, joules = sustained(spec, spec.stack("vllm"), works, [True, True])
    assert average_power_w(joules, seconds, spec.power.idle_w) == pytest.approx(spec.power.tdp_w)
    times, shown = metered(spec, spec.stack("vllm"), works)
    assert times.tolist() == seconds.tolist()
    assert shown[0] < 850.0
    assert shown[1] > 980.0


def test_filling_more_of_a_cache_leaves_more_of_the_pause_in_the_reading() -> None:
    few, many = (attention(batch=b, heads=64, kv_heads=64 // b, seq_q=1, seq_kv=32768) for b in (1, 8))
    assert ran_before(many).pause_s > ran_before(few).pause_s


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("file", "most"), [("gemm_dev.csv", 8.0), ("attention_dev.csv", 18.0)])
def test_power_of_repeated_kernels_that_set_no_constant(shared_dir: Path, file: str, most: float) -> None:
    measured = read_measured(shared_dir / "ground_truth" / "gpu" / file)
    assert measured is not None
    identity = ("device", "op", "dtype", "timing", *SHAPE)
    rows = [row for row in measured.rows if row.text("power_w")]
    held = tuple(row for row in rows if held_out([row.columns.get(name, "") for name in identity]))
    assert len(held) > 130
    chosen = predict([MeasuredFile(measured.path, measured.columns, held)])
    found = scored([each.values["power"] for each in chosen], [float(each.row.text("power_w")) for each in chosen])
    assert found.mape <= most
