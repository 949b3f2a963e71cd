"""Networks in the containers of frameworks: which stack a row stands for, and the groups that were held out."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fit_frameworks import Run, gaps, held_out, runs
from hwsim.loading.device import load_device
from hwsim.validation.frameworks import framework_run
from hwsim.validation.measured import MeasuredFile, Row, read_measured
from hwsim.validation.predict import predict


def _row(tmp_path: Path, model: str, dtype: str, batch: int = 1, seq: str = "") -> Row:
    path = tmp_path / "rows.csv"
    columns = "device,op,dtype,batch,seq_q,model,latency_us,timing"
    path.write_text(f"{columns}\nA100(DGX),model_forward,{dtype},{batch},{seq},{model},5000,framework_bench\n")
    file = read_measured(path)
    assert file is not None
    return file.rows[0]


@pytest.mark.parametrize(
    ("model", "network", "timings"),
    [
        ("resnet50v1.5/tf1 +XLA", "resnet50v1.5", ("framework_bench tf1 +XLA fp16", "framework_bench tf1 +XLA")),
        ("resnet50v1.5/paddle", "resnet50v1.5", ("framework_bench paddle fp16", "framework_bench paddle")),
        ("bert/tf1:base", "bert_base", ("framework_bench tf1 +XLA fp16", "framework_bench tf1 +XLA")),
        ("bert/pytorch:base", "bert_base", ("framework_bench pytorch fp16", "framework_bench pytorch")),
    ],
)
def test_a_model_names_its_network_and_its_framework(
    tmp_path: Path, model: str, network: str, timings: tuple[str, ...]
) -> None:
    found = framework_run(_row(tmp_path, model, "fp16", seq="384"))
    assert found is not None
    assert (found.model, found.timings) == (network, timings)


def test_bert_is_compiled_again_for_its_last_batch_and_image_networks_before_the_clock_starts(tmp_path: Path) -> None:
    """1,024 batches of questions, each of 1.025 windows of 384 tokens."""
    compiled = [framework_run(_row(tmp_path, "bert/tf1:base", "fp16", batch, "384")) for batch in (1, 8)]
    assert [run.compiled for run in compiled if run] == pytest.approx([1 / 1049.6, 2 / 1049.6])
    image = framework_run(_row(tmp_path, "resnet50v1.5/tf1 +XLA", "fp16"))
    assert image is not None
    assert image.compiled == 0.0


def test_precisions_may_have_a_stack_of_their_own(tmp_path: Path) -> None:
    rows = [_row(tmp_path, "resnet50v1.5/paddle", dtype) for dtype in ("fp16", "mixed_precision")]
    fast, slow = predict([MeasuredFile(tmp_path, tuple(rows[0].columns), tuple(rows))])
    assert 8 * fast.values["time"] < slow.values["time"]


@pytest.fixture(scope="module")
def measured(shared_dir: Path) -> list[Run]:
    assert shared_dir.exists()
    return runs()


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(
    ("device", "stack", "rows", "never_fitted"),
    [
        ("a100_sxm_40gb", "tf1", 16, False),
        ("a100_sxm_40gb", "xla", 33, False),
        ("a100_sxm_40gb", "paddle", 6, False),
        ("a100_sxm_40gb", "trt", 6, False),
        ("a30", "trt", 18, True),
        ("v100_sxm2", "pytorch", 22, False),
        ("v100_sxm2", "tf1", 15, False),
        ("v100_sxm2", "xla", 19, False),
    ],
)
def test_a_stack_is_as_accurate_on_held_out_groups_as_its_file_says(
    measured: list[Run], device: str, stack: str, rows: int, never_fitted: bool
) -> None:
    here = [run for run in measured if (run.spec.name, run.stack.name) == (device, stack)]
    chosen = [run for run in here if never_fitted or held_out(run)]
    assert len(chosen) == rows
    error = 100.0 * abs(gaps(chosen, {})).mean()
    assert error <= load_device(device).stack(stack).validated["gemm"] + 0.1
