"""Whole timm networks on consumer GPUs: the rows that no constant was fitted to, held to what the files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.loading.device import load_device
from hwsim.validation.measured import MeasuredFile, read_measured
from hwsim.validation.predict import predict
from hwsim.validation.score import scored

FITTED = ("resnet50", "densenet121", "mobilenetv2_100", "vit_small_patch16_224")


@pytest.fixture(scope="module")
def timm(shared_dir: Path) -> MeasuredFile:
    file = read_measured(shared_dir / "ground_truth" / "edge" / "timm_gpu_cpu.csv")
    assert file is not None
    rows = tuple(row for row in file.rows if row.text("unit").startswith("GPU") and row.text("model") not in FITTED)
    return MeasuredFile(file.path, file.columns, rows)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(("device", "stack"), [("rtx_3090", "amp"), ("rtx_4090", "amp"), ("rtx_4090", "compile")])
def test_a_stack_is_as_accurate_on_held_out_networks_as_its_file_says(timm, device: str, stack: str) -> None:
    chosen = load_device(device).stack(stack)
    rows = [row for row in predict([timm], [device]) if row.values and row.timing in chosen.timing]
    assert len(rows) >= 37
    found = scored([row.values["time"] for row in rows], [row.row.figures["latency_ms"] for row in rows])
    assert found.mape <= chosen.validated["gemm"] + 0.1
    assert found.spearman > 0.98
