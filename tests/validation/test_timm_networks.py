"""Whole timm networks on consumer GPUs and CPUs: rows that no constant was fitted to, held to what the files say."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from hwsim.loading.device import load_device
from hwsim.validation.measured import MeasuredFile, read_measured
from hwsim.validation.predict import predict
from hwsim.validation.score import scored

TARGETED = re.compile(
    r"(\w*?res(net|next|2net|nest)|regnet|(tf_|gc_)?mobilenet|(tf_|gc_)?efficientnet|densenet|convnext|vit_|deit|swin)"
)
"""The families that the limits on medians are for."""


@pytest.fixture(scope="module")
def timm(shared_dir: Path) -> MeasuredFile:
    file = read_measured(shared_dir / "ground_truth" / "edge" / "timm_gpu_cpu.csv")
    assert file is not None
    rows = tuple(row for row in file.rows if zlib.crc32(row.text("model").encode()) % 10 != 0)
    return MeasuredFile(file.path, file.columns, rows)


@pytest.mark.slow
@pytest.mark.validation
@pytest.mark.parametrize(
    ("device", "stack", "rank", "median"),
    [
        ("rtx_3090", "amp", 0.96, 6.0),
        ("rtx_4090", "amp", 0.96, 6.0),
        ("rtx_4090", "compile", 0.96, 6.0),
        ("core_i9_10940x", "compile", 0.98, 9.0),
        ("core_i7_12700h", "compile", 0.99, 6.0),
    ],
)
def test_a_stack_is_as_accurate_on_held_out_networks_as_its_file_says(
    timm: MeasuredFile, device: str, stack: str, rank: float, median: float
) -> None:
    chosen = load_device(device).stack(stack)
    rows = [row for row in predict([timm], [device]) if row.values and row.timing in chosen.timing]
    assert len(rows) >= 780
    found = scored([row.values["time"] for row in rows], [row.row.figures["latency_ms"] for row in rows])
    assert found.mape <= chosen.validated["gemm"] + 0.1
    assert found.spearman > rank
    kept = [row for row in rows if TARGETED.match(row.row.text("model"))]
    found = scored([row.values["time"] for row in kept], [row.row.figures["latency_ms"] for row in kept])
    assert found.median_ape <= median
    assert found.spearman > 0.96
