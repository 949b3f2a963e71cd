"""Whole networks on phone and embedded NPUs that no constant was fitted to (``benchmarks/fit_edge.py``)."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.fit_edge import FITS, added_later, held_out, measured, suite_of, times_s
from benchmarks.fit_pipeline import CHIPS, chip_of
from benchmarks.fit_pipeline import times_s as times_of_pipeline
from hwsim.flow import estimate
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.validation.boards import run_on_board
from hwsim.validation.hub_names import HUB_DECODERS
from hwsim.validation.networks import Plan
from hwsim.workloads import WORKLOADS

pytestmark = pytest.mark.validation
NORMALISED = {"passes": "normalise_images"}


def _time_s(device: str, workload: str, software: str | None = None, **params: object) -> float:
    return estimate(WORKLOADS[workload].build(**params), load_device(device), software).time_s


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "bound"),
    [
        *(("hexagon_v75", 0.18), ("hexagon_v79", 0.18), ("hexagon_v73", 0.18), ("hexagon_x_elite", 0.15)),
        *(("hexagon_v69", 0.18), ("qcs9075_npu", 0.15), ("sa8295p_npu", 0.18), ("qcs6490_npu", 0.18)),
        ("qcm6690_npu", 0.20),
        *(("rk3588_npu_core", 0.10), ("rk3566_npu", 0.15), ("rk3562_npu", 0.15), ("rv1126_npu", 0.30)),
        *(("rv1109_npu", 0.30), ("rk1808_npu", 0.30)),
    ],
)
@pytest.mark.usefixtures("shared_dir")
def test_the_median_error_of_networks_never_fitted(device: str, bound: float) -> None:
    """Networks whole on the NPU, medians over runtimes; one in five was held out by its name."""
    spec, fit = load_device(device), FITS[device]
    own = spec.default_software
    found = {plan: time for plan, time in measured(fit, spec).items() if held_out(plan) and not added_later(plan)}
    if own.beyond:
        found = {plan: time for plan, time in found.items() if spec.stack_for(plan.graph().weight_bytes) is own}
    seconds = np.array(list(found.values()))
    times = times_s(spec, suite_of(list(found), own.passes), {})
    assert len(found) >= 6
    assert np.median(np.abs(times / seconds - 1.0)) < bound


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "bound"),
    [("hexagon_v75", 0.36), ("hexagon_v79", 0.36), ("hexagon_v73", 0.36), ("hexagon_x_elite", 0.36)],
)
@pytest.mark.usefixtures("shared_dir")
def test_the_median_error_of_networks_that_came_after_the_constants(device: str, bound: float) -> None:
    """AI Hub's networks that were built last: small ones for hands and poses, maps of cameras, Stable Diffusion."""
    spec, fit = load_device(device), FITS[device]
    found = {plan: time for plan, time in measured(fit, spec).items() if added_later(plan)}
    times = times_s(spec, suite_of(list(found), spec.default_software.passes), {})
    assert len(found) >= 40
    assert np.median(np.abs(times / np.array(list(found.values())) - 1.0)) < bound


@pytest.mark.slow
@pytest.mark.parametrize("device", CHIPS)
@pytest.mark.usefixtures("shared_dir")
def test_the_median_error_of_networks_never_fitted_on_a_dataflow_chip(device: str) -> None:
    """Frame rates at batch 1 and 8 of the fifth of the networks that was held out by name."""
    chip = chip_of(device)
    chosen = np.array([held_out(plan) for plan in chip.plans])
    assert chosen.sum() >= 30
    assert np.median(np.abs(times_of_pipeline(chip, {}) / chip.seconds - 1.0)[chosen]) < 0.30


def test_the_fit_of_dataflow_chips_adds_up_as_the_prices_do() -> None:
    chip = chip_of(
        "hailo_8l",
        plans=(Plan("resnet50", (("batch", 8), ("dtype", "w8a8"))), Plan("mobilenet_v2", (("dtype", "w8a8"),))),
    )
    times = [estimate(plan.graph(), chip.spec).time_s for plan in chip.plans]
    assert times_of_pipeline(chip, {}) == pytest.approx(times)


@pytest.mark.parametrize(
    ("workload", "side", "measured_s"), [("resnet50", 299, 49e-3), ("inception_v4", 299, 85e-3), ("vgg19", 224, 308e-3)]
)
def test_an_edge_tpu_streams_weights_that_do_not_fit(workload: str, side: int, measured_s: float) -> None:
    """Coral benchmark page, USB accelerator; nothing of these was fitted."""
    assert _time_s("edge_tpu", workload, dtype="int8", height=side, width=side) == pytest.approx(measured_s, rel=0.1)


@pytest.mark.parametrize(("host", "measured_s"), [("xeon_6154", 0.380), ("cortex_a53_imx8m", 1.032)])
def test_a_host_pays_for_normalisations_that_fold_into_no_product(host: str, measured_s: float) -> None:
    """DenseNet-121 of the Coral benchmark page, which normalises what it concatenates; ResNet-50 v2 set the price."""
    assert _time_s(host, "densenet121", dtype="w8a8") == pytest.approx(measured_s, rel=0.3)


def test_an_edge_tpu_keeps_small_networks_on_chip() -> None:
    """The cliff: MobileNet v2 in 2.6 ms, though its 3.5 MB would take 7 ms over the host link."""
    assert _time_s("edge_tpu", "mobilenet_v2", dtype="int8") == pytest.approx(2.6e-3, rel=0.1)


@pytest.mark.parametrize(("board", "measured_s"), [("coral_dev_board", 11e-3), ("coral_usb", 6.5e-3)])
def test_the_host_labels_what_an_edge_tpu_detects(board: str, measured_s: float) -> None:
    """Coral benchmark page: SSD MobileNet v1 at 300 x 300; DeepLab set what a label takes the host."""
    graph = WORKLOADS["ssd_mobilenet_v1_detections"].build(dtype="int8")
    result = run_on_board(graph, load_system(board))
    assert result.latency_s == pytest.approx(measured_s, rel=0.15)
    (record,) = result.records
    assert sum(record.device == 1) == 1  # the labels alone


def test_ascend_310p_runs_vit_s_on_the_constants_of_its_relative() -> None:
    """ModelZoo-PyTorch: 2.30 ms at batch 1, 7.90 ms at batch 8, fp16; nothing was fitted on this chip."""
    assert _time_s("ascend_310p", "vit_s_16", dtype="fp16") == pytest.approx(2.30e-3, rel=0.1)
    assert _time_s("ascend_310p", "vit_s_16", dtype="fp16", batch=8) == pytest.approx(7.90e-3, rel=0.15)


@pytest.mark.parametrize(
    ("device", "software", "workload", "precision", "tokens_per_s"),
    [
        ("hexagon_v75", "qnn", "llama2_7b", "w4a16", 12.85),
        ("hexagon_v75", "qnn", "phi3_5_mini", "w4a16", 13.01),
        ("rk3588_npu", "rkllm", "tinyllama_1_1b", "w8a8", 24.43),
    ],
)
def test_decoding_reads_every_weight_at_the_measured_share_of_the_bandwidth(
    device: str, software: str, workload: str, precision: str, tokens_per_s: float
) -> None:
    """quic/ai-hub-models and rknn-llm; the bandwidth shares (78 and 79 %) were read from such models, not Phi's."""
    exported = {"dtype": precision, "context": 4096 if workload == "phi3_5_mini" else 1024}
    if software == "qnn":
        exported |= HUB_DECODERS[precision]
    assert 1 / _time_s(device, workload, software, phase="decode", **exported) == pytest.approx(tokens_per_s, rel=0.1)


def test_tflite_takes_the_normalisation_of_an_8_bit_image_into_its_quantization() -> None:
    """quic/ai-hub-models, 8 Gen 3, FFNet-40S at 2048 x 1024: 5.4 ms under TFLite, 10.6 from a qnn_dlc; fp16: no gap."""
    shape = {"height": 1024, "width": 2048}
    plain, normal = ({**shape, "dtype": "w8a8"}, {**shape, "dtype": "w8a8", "passes": "normalise_images"})
    without, with_norm = (_time_s("hexagon_v75", "ffnet_40s", "tflite", **each) for each in (plain, normal))
    assert with_norm == pytest.approx(without, rel=0.05)
    assert _time_s("hexagon_v75", "ffnet_40s", "qnn", **normal) > with_norm + 4e-3


@pytest.mark.slow
@pytest.mark.parametrize(("software", "measured_s"), [("qnn", 14.3e-3), ("tflite", 11.9e-3), ("onnx", 33.5e-3)])
def test_recurrent_steps_start_one_after_the_other(software: str, measured_s: float) -> None:
    """quic/ai-hub-models, 8 Gen 3, Sequencer2D's 1,408 steps; the start of a step is fitted to EasyOCR's 796."""
    time = _time_s("hexagon_v75", "sequencer2d_s", software, dtype="fp16", passes="normalise_images")
    assert time == pytest.approx(measured_s, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("device", "measured_s"), [("hexagon_v75", 5.4e-3), ("qcs9075_npu", 8.6e-3)])
def test_division_by_a_tensor_has_no_vector_unit(device: str, measured_s: float) -> None:
    """quic/ai-hub-models, EfficientViT-L2: eight divisions, fitted to the ten of EfficientViT-B2."""
    time = _time_s(device, "efficientvit_l2", "qnn", dtype="fp16", passes="normalise_images")
    assert time == pytest.approx(measured_s, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "measured_s"), [("hexagon_v75", 0.222), ("hexagon_v79", 0.185), ("hexagon_v73", 0.329)]
)
def test_transposes_beyond_the_scratchpad_go_element_by_element(device: str, measured_s: float) -> None:
    """quic/ai-hub-models, cross-view transformer: 101 million scores permuted; fitted to CenterNet on one chip."""
    shape = {"dtype": "fp16", "height": 224, "width": 480, "passes": "normalise_images"}
    assert _time_s(device, "cross_view_transformer", "qnn", **shape) == pytest.approx(measured_s, rel=0.15)


@pytest.mark.parametrize(
    ("device", "software", "workload", "params", "measured_s"),
    [
        ("hexagon_v75", "qnn", "quicksrnet_medium", {"height": 128, "width": 128, "dtype": "w8a8"}, 0.231e-3),
        ("qcs9075_npu", "qnn", "whisper_base", {"phase": "decode", "context": 199}, 4.51e-3),
        ("sa8295p_npu", "qnn", "opus_mt", {"phase": "decode"}, 4.12e-3),
        ("hexagon_v73", "qnn", "ddrnet23_slim", {"dtype": "w8a8", "height": 2048, "width": 1024}, 56.3e-3),
        ("hexagon_v75", "qnn", "efficientnet_b4", {"height": 224, "width": 224, **NORMALISED}, 2.42e-3),
        ("hexagon_v75", "qnn", "sd1_vae_decoder", {"dtype": "w8a16_int"}, 202e-3),
        ("hexagon_v75", "qnn", "whisper_base", {"phase": "encode"}, 27.0e-3),
        ("hexagon_v75", "onnx", "whisper_base", {"phase": "encode"}, 34.2e-3),
    ],
)
def test_a_network_of_ai_hub_comes_near_its_time(
    device: str, software: str, workload: str, params: dict[str, object], measured_s: float
) -> None:
    """quic/ai-hub-models: single bytes transposed; decoders; large windows; gates; 16-bit convolutions; ORT."""
    apart = {"passes": "heads_apart"} if workload == "whisper_base" else {}
    assert _time_s(device, workload, software, **{"dtype": "fp16", **apart, **params}) == pytest.approx(
        measured_s, rel=0.15
    )


@pytest.mark.parametrize(
    ("software", "workload", "params", "measured_s"),
    [("qnn", "pspnet", {"batch": 2, "classes": 150}, 406e-3), ("tflite", "xmem_value", {}, 8.28e-3)],
)
def test_large_windows_go_element_by_element(
    software: str, workload: str, params: dict[str, object], measured_s: float
) -> None:
    """quic/ai-hub-models, 8 Gen 3: a quarter and half of that without; nothing was fitted to either."""
    assert _time_s("hexagon_v75", workload, software, dtype="fp16", **params) == pytest.approx(measured_s, rel=0.25)
