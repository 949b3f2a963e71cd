"""The same work on several systems, a row each."""

from __future__ import annotations

import hwsim


def test_the_bound_of_a_row_is_that_of_most_of_its_time() -> None:
    """On a T4 at batch 8 convolutions take most of any kind and are bound by compute; together the rest takes more."""
    table = hwsim.compare(hwsim.workload("resnet50", batch=8), ["t4"])
    (result,) = table.results
    spans = result.ops.assign(took=result.ops.end_s - result.ops.start_s)
    assert result.bottlenecks(1)[0].bound == "compute"
    assert spans.groupby("bound").took.sum().idxmax() == "memory"
    assert table.frame.bound.tolist() == ["memory"]


def test_what_does_not_fit_is_priced_and_says_so() -> None:
    table = hwsim.compare(hwsim.workload("llama3_70b", phase="decode", dtype="fp16"), ["t4", "b200_sxm"])
    assert table.frame.fits.tolist() == [False, True]
    assert "needs 141.1 GB more for weights" in table.results[0].note


def test_a_device_that_cannot_run_the_work_is_left_out_with_the_reason() -> None:
    table = hwsim.compare(hwsim.workload("resnet50", dtype="fp8"), ["t4", "h100_sxm"])
    assert table.frame.device.tolist() == ["h100_sxm"]
    assert "t4 cannot run" in table.refused["t4"]
