"""Products of fp32 weights that run on tensor cores."""

from __future__ import annotations

from hwsim.graph.lowering import lower
from hwsim.graph.work import Gemm
from hwsim.passes import apply_passes
from hwsim.workloads import workload


def _formats(dtype: str) -> set[tuple[str, str]]:
    works = lower(apply_passes(workload("resnet18", dtype=dtype), ["tf32_products"])).works
    return {("product" if isinstance(work, Gemm) else "other", work.format) for work in works}


def test_products_of_fp32_weights_turn_to_tf32_and_nothing_else_does() -> None:
    assert _formats("fp32") == {("product", "tf32"), ("other", "fp32")}


def test_a_network_in_another_format_is_left_alone() -> None:
    assert _formats("fp16") == {("product", "fp16"), ("other", "fp16")}
