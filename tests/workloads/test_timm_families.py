"""Families of image networks: names read as timm writes them, counts as timm publishes them."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from hwsim.errors import UnknownNameError
from hwsim.graph.graph import Graph
from hwsim.validation.names import NAMESAKES
from hwsim.workloads import WORKLOADS, workload
from hwsim.workloads.regnet import quantized_widths
from hwsim.workloads.timm.mobile_blocks import InvertedResiduals, parse_stage

PARAMETERS = {
    # model cards of timm and the papers: millions of parameters
    "resnet50d": 25.58,
    "seresnet50": 28.09,
    "ecaresnet101d": 44.57,
    "resnetrs101": 63.62,
    "resnext101_32x8d": 88.79,
    "regnetx_032": 15.30,
    "regnety_160": 83.59,
    "mobilenetv2_140": 6.11,
    "mobilenetv3_large_075": 3.99,
    "mobilenetv4_conv_medium": 9.72,
    "mobilenetv4_hybrid_medium": 11.07,
    "efficientnet_b3": 12.23,
    "tf_efficientnet_b7": 66.35,
    "efficientnetv2_m": 54.14,
    "mixnet_l": 7.33,
    "densenet169": 14.15,
    "vgg16_bn": 138.37,
    "convnext_base": 88.59,
    "convnextv2_large": 197.96,
    "vit_tiny_patch16_224": 5.72,
    "pit_b_distilled_224": 74.79,
    "pvt_v2_b5": 81.96,
    "vit_huge_patch14_224": 632.05,
    "deit3_medium_patch16_224": 38.85,
    "deit_base_distilled_patch16_224": 87.34,
    "mixer_b16_224": 59.88,
    "swin_small_patch4_window7_224": 49.61,
    "swinv2_tiny_window8_256": 28.35,
    # counted from the sources of timm 1.0.11; no measurement of these is at hand
    "maxvit_rmlp_tiny_rw_256": 29.15,
    "resnetv2_101x3_bit": 387.93,
    "cs3darknet_m": 9.31,
    "hgnetv2_b2": 11.22,
    "eva_giant_patch14_336": 1013.01,
    "xcit_small_12_p8_224": 26.21,
    "botnet50ts_256": 22.74,
    "coat_mini": 10.34,
    "dpn92": 37.67,
    "edgenext_x_small": 2.34,
    "efficientnet_cc_b1_8e": 39.72,
    "fbnetc_100": 5.57,
    "gcvit_tiny": 28.22,
    "mambaout_tiny": 26.55,
    "mvitv2_small": 34.87,
    "repvit_m3": 10.68,
    "resmlp_36_224": 44.69,
    "sequencer2d_l": 54.30,
    "twins_svt_base": 56.07,
    "volo_d1_384": 26.78,
}
TRUNKS = (
    *("dinov2", "patch8_224", "swinv2_base_window12_192", "swinv2_large_window12_192", "gap_240", "_clip_gap", "_fl"),
    *("eva02_small_patch14_224", "eva02_tiny_patch14_224", "mci", "r50_s16", "huge_fl4"),
)
"""Networks that timm counts with another classifier than one of 1000 classes, or with none."""


@pytest.mark.parametrize("name", sorted(PARAMETERS))
def test_a_network_of_a_family_has_the_parameters_that_are_published(name: str) -> None:
    assert workload(name).parameters / 1e6 == pytest.approx(PARAMETERS[name], abs=0.0051)


@pytest.mark.slow
def test_every_example_of_every_family_is_found_and_the_last_builds() -> None:
    for family in WORKLOADS.families():
        assert all(example in WORKLOADS for example in family.examples), family.name
        assert WORKLOADS[family.examples[-1]].build(batch=2).macs > 0, family.examples[-1]


def test_namesakes_are_the_networks_as_timm_builds_them() -> None:
    """As many parameters as timm states; torchvision's VGG has none other, the merged RepVGG-A0 0.8 million fewer."""
    assert NAMESAKES["huggingface/pytorch-image-models", "vgg16"] == "vgg16_conv"
    assert workload("vgg16_conv").parameters == workload("vgg16").parameters == 138_357_544
    assert workload("repvgg_a0_branches").parameters / 1e6 == pytest.approx(9.11, abs=0.0051)


@pytest.mark.slow
def test_every_example_of_every_family_builds() -> None:
    for family in WORKLOADS.families():
        for example in family.examples:
            assert WORKLOADS[example].build().macs > 0, example


def test_members_of_families_are_found_but_not_listed() -> None:
    assert "regnety_1280" in WORKLOADS
    assert "regnety_1280" not in set(WORKLOADS)
    assert "regnety_17" not in WORKLOADS
    with pytest.raises(UnknownNameError, match="no workload named 'vit_bas_patch16_224'"):
        workload("vit_bas_patch16_224")


def test_the_size_in_the_name_is_the_size_of_the_image() -> None:
    assert WORKLOADS["vit_base_patch16_384"].parameter("height").default == 384
    assert WORKLOADS["swinv2_base_window12to24_192to384"].parameter("width").default == 384
    assert WORKLOADS["tf_efficientnet_b5"].parameter("width").default == 456


def test_a_line_of_blocks_reads_as_it_is_written() -> None:
    first, second = parse_stage("ir 1 k3.5 s2 e6 c24 se0.25 p2.1 silu; uir 2 a5 k0 e4 c24")
    assert (first.kernels, first.stride, first.expansion, first.channels) == ((3, 5), 2, 6.0, 24)
    assert (first.squeeze, first.parts, first.act, first.count) == (0.25, (2, 1), "silu", 1)
    assert (second.kind, second.count, second.before, second.kernels, second.act) == ("uir", 2, 5, (0,), "")


def test_a_deeper_network_repeats_its_stages_more_often() -> None:
    """Depth 1.1 makes two blocks of one, three of two, and so on: ceil(1.1 n)."""
    base = InvertedResiduals(stages=("ir 2 k3 s2 c16", "ir 3 k3 c16"))
    deep = InvertedResiduals(stages=("ir 2 k3 s2 c16", "ir 3 k3 c16"), depths=(1.1,))
    assert [len(_blocks(network)) for network in (base, deep)] == [5, 7]


def _blocks(network: InvertedResiduals) -> set[str]:
    from hwsim.graph.graph import GraphBuilder

    b = GraphBuilder("toy")
    graph = b.build([network(b, b.input("image", (1, 3, 32, 32)), 10)])
    return {node.name.split(".depthwise")[0] for node in graph.nodes if node.name.endswith(".depthwise")}


def test_the_widths_of_a_regnet_follow_from_four_numbers() -> None:
    """RegNetX-3.2GF: d = [2, 6, 15, 2], w = [96, 192, 432, 1008] (Radosavovic et al. 2020, Fig. 16)."""
    assert quantized_widths(88, 26.31, 2.25, 25, 48) == ((2, 6, 15, 2), (96, 192, 432, 1008))


def _counted_by_timm(graph: Graph) -> float:
    """MACs as fvcore counts them: two an element of batch normalisation, five of other norms, one of pooling.

    It knows neither recurrent layers nor convolutions padded by name, as ConvMixer's depthwise ones are.
    """
    extra = {"batchnorm": 2, "layernorm": 5, "groupnorm": 5, "global_average": 1}
    total = float(graph.macs)
    for node in graph.nodes:
        shapes = [graph.tensors[name].shape for name in node.inputs]
        total += extra.get(node.op.kind, 0) * math.prod(shapes[0])
        if node.op.kind == "recurrent":
            total -= math.prod(shapes[0][:2]) * sum(math.prod(shape) for shape in shapes[1:3])
        elif graph.name.startswith("convmixer") and node.name.endswith(".depthwise"):
            total -= math.prod(graph.tensors[node.outputs[0]].shape) * math.prod(shapes[1][2:])
    return total


@pytest.mark.slow
@pytest.mark.validation
def test_macs_and_parameters_are_those_that_timm_counted_for_every_network_measured(shared_dir: Path) -> None:
    """At every resolution in the file, within 2 % and the rounding of the file to 0.01."""
    with (shared_dir / "ground_truth" / "edge" / "timm_gpu_cpu.csv").open(newline="") as stream:
        rows = {(row["model"], row["input"]): row for row in csv.DictReader(stream)}
    covered, off = set(), []
    for (model, size), row in rows.items():
        name = NAMESAKES.get((row["source_repo"], model), model)
        if name not in WORKLOADS:
            continue
        height, width, _ = map(int, size.split("x"))
        graph = workload(name, height=height, width=width)
        covered.add(name)
        macs, parameters = _counted_by_timm(graph) / 1e9, graph.parameters / 1e6
        if macs != pytest.approx(float(row["gmacs"]), rel=0.02, abs=0.006):
            off.append((name, size, macs, row["gmacs"]))
        own = not any(trunk in name for trunk in TRUNKS)
        if own and parameters != pytest.approx(float(row["params_m"]), rel=0.01, abs=0.006):
            off.append((name, size, parameters, row["params_m"]))
    assert off == []
    assert len(covered) >= 785
