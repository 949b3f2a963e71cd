"""Whole networks on phone and embedded NPUs that no constant was fitted to (``benchmarks/fit_networks.py``)."""

from __future__ import annotations

import csv
import statistics
from pathlib import Path

import pytest

from hwsim.flow import estimate
from hwsim.loading.device import load_device
from hwsim.workloads import WORKLOADS

pytestmark = pytest.mark.validation

TRUTH = Path(__file__).resolve().parents[2].parent / "shared" / "ground_truth" / "edge"
FORMATS = {"float": "fp16", "w8a8": "w8a8", "w8a16": "w8a16"}
HELD_OUT = {
    "resnet101": "resnet101",
    "mobilenet_v2": "mobilenet_v2",
    "efficientnet_b0": "efficientnet_b0",
    "squeezenet1_1": "squeezenet1_1",
    "regnet_y_800mf": "regnet_y_800mf",
    "resnext50": "resnext50_32x4d",
}


def _rows(name: str) -> list[dict[str, str]]:
    path = TRUTH / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _time_s(device: str, workload: str, software: str | None = None, **params: object) -> float:
    return estimate(WORKLOADS[workload].build(**params), load_device(device), software).time_s


def _median_latencies_s() -> dict[tuple[str, str], float]:
    """Medians over runtimes of held-out networks that run whole on the NPU of a Snapdragon 8 Gen 3."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in _rows("qualcomm_aihub.csv"):
        npu = row["chip"] == "Snapdragon 8 Gen 3" and row["compute_unit"] == "NPU"
        elsewhere = float(row["layers_cpu"] or 0) + float(row["layers_gpu"] or 0)
        if npu and not elsewhere and row["model"] in HELD_OUT and row["precision"] in FORMATS:
            key = (HELD_OUT[row["model"]], FORMATS[row["precision"]])
            found.setdefault(key, []).append(float(row["latency_ms"]) * 1e-3)
    return {key: statistics.median(times) for key, times in found.items()}


def test_hexagon_v75_networks_are_within_a_fifth() -> None:
    measured = _median_latencies_s()
    gaps = [abs(_time_s("hexagon_v75", name, dtype=dtype) / time - 1) for (name, dtype), time in measured.items()]
    assert len(gaps) == 13
    assert statistics.mean(gaps) < 0.21
    assert max(gaps) < 0.38


@pytest.mark.parametrize(("workload", "measured_s"), [("resnet50", 49e-3), ("vgg16", 296e-3), ("vgg19", 308e-3)])
def test_an_edge_tpu_streams_weights_that_do_not_fit(workload: str, measured_s: float) -> None:
    """Coral benchmark page, USB accelerator; nothing of these was fitted (ResNet-50 was measured at 299 x 299)."""
    assert _time_s("edge_tpu", workload, "tflite_streaming", dtype="int8") == pytest.approx(measured_s, rel=0.15)


def test_an_edge_tpu_keeps_small_networks_on_chip() -> None:
    """The cliff: MobileNet v2 in 2.6 ms, though its 3.5 MB would take 7 ms over the host link."""
    assert _time_s("edge_tpu", "mobilenet_v2", dtype="int8") == pytest.approx(2.6e-3, rel=0.1)
    assert _time_s("edge_tpu", "mobilenet_v2", "tflite_streaming", dtype="int8") > 7e-3


def test_ascend_310p_runs_vit_s_on_the_constants_of_its_relative() -> None:
    """ModelZoo-PyTorch: 2.30 ms at batch 1, 7.90 ms at batch 8, fp16; nothing was fitted on this chip."""
    assert _time_s("ascend_310p", "vit_s_16", dtype="fp16") == pytest.approx(2.30e-3, rel=0.1)
    assert _time_s("ascend_310p", "vit_s_16", dtype="fp16", batch=8) == pytest.approx(7.90e-3, rel=0.15)


@pytest.mark.parametrize(
    ("device", "software", "workload", "dtype", "tokens_per_s"),
    [
        ("hexagon_v75", "qnn", "llama2_7b", "w4a16", 12.85),
        ("rk3588_npu", "rkllm", "tinyllama_1_1b", "w8a8", 24.43),
    ],
)
def test_decoding_reads_every_weight_at_the_measured_share_of_the_bandwidth(
    device: str, software: str, workload: str, dtype: str, tokens_per_s: float
) -> None:
    """quic/ai-hub-models and rknn-llm; the bandwidth shares (62 and 79 %) were read from such models."""
    time = _time_s(device, workload, software, phase="decode", dtype=dtype)
    assert 1 / time == pytest.approx(tokens_per_s, rel=0.15)
