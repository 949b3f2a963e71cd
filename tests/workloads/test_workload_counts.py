"""Parameters and MACs of every workload against published counts."""

from __future__ import annotations

import pytest

from hwsim.graph.graph import Graph
from hwsim.workloads import WORKLOADS, workload
from hwsim.workloads.library import MODULE_OF

EXACT_PARAMETERS = {
    # torchvision weight metadata, num_params
    "alexnet": 61_100_840,
    "convnext_tiny": 28_589_128,
    "densenet121": 7_978_856,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b4": 19_341_616,
    "mnasnet1_0": 4_383_312,
    "mobilenet_v2": 3_504_872,
    "proxylessnas_mobile": 4_080_512,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "regnet_y_400mf": 4_344_144,
    "regnet_y_800mf": 6_432_512,
    "resnext50_32x4d": 25_028_904,
    "shufflenet_v2_x1_0": 2_278_604,
    "wide_resnet50_2": 68_883_240,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "squeezenet1_1": 1_235_496,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vit_b_16": 86_567_656,
    "vit_l_16": 304_326_632,
    # checkpoints in transformers and Ultralytics
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "bert_base": 109_482_240,
    "distilbert": 66_362_880,
    "bert_large": 335_141_888,
    "gpt2": 124_439_808,
    "llama2_7b": 6_738_415_616,
    "llama3_8b": 8_030_261_248,
    "llama3_70b": 70_553_706_496,
    "llama2_13b": 13_015_864_320,
    "llama2_70b": 68_976_648_192,
    "llama3_2_1b": 1_235_814_400,
    "llama3_2_3b": 3_212_749_824,
    "mistral_7b": 7_248_023_552,
    "phi3_5_mini": 3_821_079_552,
    "qwen2_5_1_5b": 1_543_714_304,
    "qwen2_5_7b": 7_615_616_512,
    "tinyllama_1_1b": 1_100_048_384,
    "whisper_tiny": 37_760_640,
    "whisper_base": 72_593_920,
    "whisper_small": 241_734_912,
    "whisper_medium": 763_857_920,
    "whisper_large_v3": 1_543_490_560,
    "whisper_large_v3_turbo": 808_878_080,
    "yolov8n": 3_157_200,
    "yolov8s": 11_166_560,
    "yolov8m": 25_902_640,
    "yolov8l": 43_691_520,
    "yolov8x": 68_229_648,
    "yolov8n_seg": 3_409_968,
    "yolov8s_seg": 11_821_056,
    "yolov5n": 1_872_157,
    "yolov5s": 7_235_389,
    "yolov5m": 21_190_557,
    "yolov5l": 46_563_709,
    "yolov5x": 86_749_405,
    "yolo11n": 2_624_080,
    "yolo11s": 9_458_752,
    "yolo11m": 20_114_688,
    "yolo11l": 25_372_160,
    "yolo11x": 56_966_176,
}
GMACS = {
    # operator counts of exported graphs, which equal torchvision's metadata
    "alexnet": 0.7142,
    "bert_base": 11.174,
    "convnext_tiny": 4.4555,
    "densenet121": 2.8342,
    "efficientnet_b0": 0.3858,
    "mobilenet_v2": 0.3008,
    "mobilenet_v3_large": 0.2166,
    "mobilenet_v3_small": 0.0565,
    "googlenet": 1.4984,
    "inception_v3": 5.7132,
    "mnasnet1_0": 0.3144,
    "mobilenet_v1": 0.569,
    "regnet_y_400mf": 0.4018,
    "shufflenet_v2_x1_0": 0.1449,
    "resnet18": 1.8141,
    "resnet50": 4.0892,
    "squeezenet1_1": 0.3492,
    "vgg16": 15.4703,
    "vgg19": 19.632,
    "vit_b_16": 17.5638,
    "yolov8n": 4.37,
}
GMACS_OF_ALL_POSITIONS = {"gpt2": (1024, 145.82), "llama2_7b": (2048, 14_630.8), "llama3_8b": (2048, 16_469.1)}
OWN = sorted(EXACT_PARAMETERS)


@pytest.mark.parametrize("name", OWN)
def test_parameters_are_exactly_the_published_ones(name: str) -> None:
    assert workload(name).parameters == EXACT_PARAMETERS[name]


@pytest.mark.parametrize("name", sorted(GMACS))
def test_macs_are_the_published_ones_within_their_rounding(name: str) -> None:
    assert workload(name).macs / 1e9 == pytest.approx(GMACS[name], rel=1e-3)


@pytest.mark.parametrize("name", sorted(GMACS_OF_ALL_POSITIONS))
def test_macs_of_language_models_scoring_all_positions_are_the_published_ones(name: str) -> None:
    prompt, gmacs = GMACS_OF_ALL_POSITIONS[name]
    assert workload(name, phase="prefill", prompt=prompt, logits="all").macs / 1e9 == pytest.approx(gmacs, rel=1e-4)


LATE = frozenset(
    f"hwsim.workloads.{name}"
    for name in (
        *("cas_vit", "damo_yolo", "inception_resnet", "light_depth", "lprnet", "osnet", "paddle_ocr"),
        *("pose_pyramids", "ppyoloe", "segformer_bn", "stdc", "yolact", "yolov12", "yolov5_variants"),
    )
)
"""Modules of boards' model zoos, counted among the slow tests."""


def _published() -> list[object]:
    names = [name for name in MODULE_OF if WORKLOADS[name].published]
    return [pytest.param(n, marks=pytest.mark.slow if MODULE_OF[n] in LATE else ()) for n in names]


@pytest.mark.parametrize("name", _published())
def test_a_workload_keeps_to_what_it_says_is_published(name: str) -> None:
    published = WORKLOADS[name].published
    assert published is not None
    graph = WORKLOADS[name].build(**published.at)
    if published.parameters is not None:
        assert graph.parameters == pytest.approx(published.parameters, rel=published.tolerance)
    if published.macs is not None:
        assert graph.macs == pytest.approx(published.macs, rel=published.tolerance)


@pytest.mark.parametrize(
    "name", ["resnet50", "mobilenet_v3_small", "vit_b_16", "yolov8n", "convnext_tiny", "bert_base"]
)
def test_macs_grow_with_the_batch_and_parameters_do_not(name: str) -> None:
    one, three = workload(name), workload(name, batch=3)
    assert (three.macs, three.parameters, three.items) == (3 * one.macs, one.parameters, 3)


def test_an_image_twice_as_high_and_wide_takes_four_times_the_macs_of_all_convolutions() -> None:
    """ResNet-50 without its last layer of 2048 x 1000 MACs."""
    last = 2048 * 1000
    assert workload("resnet50", height=448, width=448).macs - last == 4 * (workload("resnet50").macs - last)


@pytest.mark.parametrize(
    ("name", "size", "fault"),
    [("vit_b_16", 200, "multiples of the patch size 16"), ("yolov8n", 600, "multiples of 32")],
)
def test_an_image_that_does_not_divide_is_refused(name: str, size: int, fault: str) -> None:
    from hwsim.errors import InputError

    with pytest.raises(InputError, match=fault):
        workload(name, height=size)


def test_the_smallest_image_allowed_can_be_built() -> None:
    for name in (
        "alexnet",
        "densenet121",
        "efficientnet_b0",
        "mobilenet_v3_large",
        "resnet18",
        "squeezenet1_1",
        "vgg16",
    ):
        low = {key: int(WORKLOADS[name].parameters[key].minimum or 1) for key in ("height", "width")}
        assert workload(name, **low).macs > 0


def _kinds(graph: Graph) -> set[str]:
    return {node.op.kind for node in graph.nodes}


def test_normalisations_and_activations_are_operators_of_their_own() -> None:
    assert {"conv2d", "batchnorm", "relu", "add", "pooling", "linear"} <= _kinds(workload("resnet50"))


def test_running_statistics_are_no_parameters() -> None:
    graph = workload("resnet18")
    assert graph.tensors["stem_bn.mean"].role == "state"


@pytest.mark.parametrize(
    ("name", "stored", "macs"),
    [
        ("ds_cnn", 24_908, 2_656_768),
        ("mobilenet_v1_025_96", 221_794, 7_489_664),
        ("resnet8_cifar10", 78_666, 12_501_632),
        ("deep_autoencoder", 269_992, 264_192),
    ],
)
def test_the_networks_of_mlperf_tiny_store_what_their_reference_models_do(name: str, stored: int, macs: int) -> None:
    """Keras counts running statistics among the parameters (``Total params`` of the summary)."""
    graph = workload(name)
    running = sum(t.type.elements for t in graph.tensors.values() if t.role == "state")
    assert (graph.parameters + running, graph.macs) == (stored, macs)


def test_every_operator_of_a_residual_block_is_named_after_its_place() -> None:
    names = [node.name for node in workload("resnet50").nodes]
    assert "layer1.0.conv1" in names
    assert "layer1.0.downsample" in names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("depth", "macs"), [(1, 8 * 32), (2, 8 * 16 + 16 * 32), (4, 8 * 16 + 2 * 16 * 16 + 16 * 32)])
def test_a_perceptron_has_as_many_macs_as_weights(depth: int, macs: int) -> None:
    assert workload("mlp", depth=depth, inputs=8, width=16, outputs=32).macs == macs


def test_an_lstm_takes_eight_hidden_squares_a_step_and_layer() -> None:
    """Inputs as wide as the state: each of 4 gates multiplies both by hidden x hidden."""
    graph = workload("lstm", depth=2, inputs=16, hidden=16, steps=10)
    assert graph.macs == 10 * 2 * 8 * 16 * 16
    assert graph.parameters == 2 * (8 * 16 * 16 + 8 * 16)


def test_an_lstm_runs_its_head_once() -> None:
    graph = workload("lstm", depth=1, inputs=16, hidden=16, steps=10, outputs=5)
    assert [(phase.name, phase.repeat) for phase in graph.phases] == [("step", 10), ("head", 1)]
    assert graph.macs == 10 * 8 * 16 * 16 + 16 * 5


def test_whisper_reads_thirty_seconds_in_one_pass() -> None:
    """Convolutions, then four layers over 1500 positions, then cross keys and values of four layers (d = 384)."""
    d, n = 384, 1500
    stem = 3000 * 3 * 80 * d + n * 3 * d * d
    layers = 4 * (n * 12 * d * d + 2 * n * n * d)
    assert workload("whisper_tiny", phase="encode").macs == stem + layers + 4 * n * 2 * d * d
