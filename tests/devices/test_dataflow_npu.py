"""The dataflow kind on a toy chip worked by hand: balance, the slowest stage, contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from hwsim.devices.base import KINDS, price
from hwsim.devices.dataflow_npu import DataflowNpuSection, frame_edges
from hwsim.flow import estimate, simulate
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.work import Gemm
from hwsim.loading.device import load_device
from hwsim.operators.arg_extreme import ArgExtreme
from hwsim.operators.pooling import Pool
from hwsim.operators.suppress_overlaps import SuppressOverlaps
from hwsim.specs.device import DeviceSpec, MemorySpec, PowerSpec
from hwsim.specs.software import SoftwareSpec
from hwsim.specs.system import single
from hwsim.workloads import layers, workload

_KIND = KINDS["dataflow_npu"]
_WHOLE = {"compute": 1.0, "depth": 0.0, "clusters": 0.0}


def _chip(
    outputs: float = 1e9,
    kernels: Mapping[str, float] | None = None,
    sram: float = 1e9,
    link: float = 1e12,
    more: Mapping[str, Mapping[str, float]] | None = None,
) -> DeviceSpec:
    """Two clusters of 50 MACs at 1 Hz (100 MACs a second), a link of 10 bytes a second."""
    families = MappingProxyType({"gemm": _WHOLE | dict(kernels or {}), **(more or {})})
    return DeviceSpec(
        name="toy",
        title="Toy",
        kind="dataflow_npu",
        core=DataflowNpuSection(
            clusters=2,
            clock_hz=1.0,
            macs={"int8": 50.0},
            vector={"int8": 1.0},
            outputs=outputs,
            link_bytes_per_s=link,
        ),
        memory=(
            MemorySpec(name="host", capacity_bytes=1e12, bandwidth_bytes_per_s=10.0, energy_j_per_byte=1.0),
            MemorySpec(name="sram", capacity_bytes=sram),
        ),
        power=PowerSpec(tdp_w=100.0, idle_w=1.0, energy_per_op_j={"int8": 1.0}),
        software={"toy": SoftwareSpec(name="toy", kernels=families)},
        preferred_dtype="int8",
    )


def _two_layers(batch: int = 1) -> Graph:
    """20 x 10 and 20 x 20 weights behind each other: 200 and 400 MACs a frame, 600 bytes."""
    b = GraphBuilder("two")
    x = layers.linear(b, b.input("x", (batch, 10)), 20, bias=False, name="first")
    return b.build([layers.linear(b, x, 20, bias=False, name="second")], items=batch)


def test_balanced_stages_share_the_chip_by_their_work() -> None:
    """600 MACs at 100 a second; the layers' own times are their parts of it."""
    found = estimate(_two_layers(), _chip())
    assert found.columns["time_s"] == pytest.approx([2.0, 4.0])


def test_no_frame_comes_sooner_than_the_slowest_stage_writes() -> None:
    """20 outputs at 0.1 a second take 200 s, however much of the chip the stage had."""
    assert estimate(_two_layers(), _chip(outputs=0.1)).time_s == pytest.approx(200.0, rel=1e-6)
    assert estimate(_two_layers(3), _chip(outputs=0.1)).time_s == pytest.approx(600.0, rel=1e-6)


def test_a_network_that_needs_more_than_the_chip_is_loaded_for_each_batch() -> None:
    """SRAM for 300 of 600 bytes: twice two clusters at 2.5 s, 60 s of loading; computing scales with frames."""
    chip = _chip(kernels={"swap": 2.5}, sram=300.0)
    assert estimate(_two_layers(), chip).time_s == pytest.approx(6.0 + 60.0 + 10.0)
    assert estimate(_two_layers(4), chip).time_s == pytest.approx(24.0 + 60.0 + 10.0)
    assert estimate(_two_layers(4), _chip(kernels={"swap": 2.5}, sram=600.0)).time_s == pytest.approx(24.0)


def test_frames_and_results_take_turns_on_the_link() -> None:
    """10 bytes in and 20 out a frame at 1.5 bytes a second: 20 s; at 1e9 the layers' 6 s."""
    assert estimate(_two_layers(), _chip(link=1.5)).time_s == pytest.approx(20.0, rel=1e-3)
    assert estimate(_two_layers(2), _chip(link=1.5)).time_s == pytest.approx(40.0, rel=1e-3)
    assert estimate(_two_layers(), _chip(link=1e9)).time_s == pytest.approx(6.0)


def test_the_host_starts_no_frame_before_its_time() -> None:
    """6 s of layers; 20 s a frame asked for."""
    chip = _chip()
    slow = replace(chip, core=replace(chip.core, frame_s=20.0))
    assert estimate(_two_layers(), slow).time_s == pytest.approx(20.0, rel=1e-3)
    assert estimate(_two_layers(3), slow).time_s == pytest.approx(60.0, rel=1e-3)


def test_results_leave_in_whole_tiles_of_channels_and_labels_in_16_bits() -> None:
    """A map of one channel is written as one of eight; an int64 label counts as two bytes."""
    b = GraphBuilder("labels")
    x = b.input("x", (1, 3, 4, 4))
    graph = b.build([b.add(ArgExtreme(axis=1, keepdims=True), x)]).with_scheme("int8")
    size, largest = frame_edges(graph, np.array([[8.0]]))
    assert (size, float(largest[0, 0])) == (48 + 32, 128.0)


def test_a_window_that_is_averaged_takes_a_cluster_for_a_while() -> None:
    """16 windows at 0.5 s on two clusters, besides 16 x 9 operations at one a second and half of two lanes."""
    for mode, time_s in (("average", 148.0), ("max", 144.0)):
        b = GraphBuilder("pool")
        pooled = b.add(Pool(mode=mode, kernel=(3, 3), stride=(1, 1), padding=(1, 1)), b.input("x", (1, 1, 4, 4)))
        chip = _chip(more={"padded_average": {"row": 0.5}})
        assert estimate(b.build([pooled]), chip).time_s == pytest.approx(time_s)


def test_scores_pass_through_a_stage_of_their_own_however_large_the_chip() -> None:
    """10 anchors of 3 classes at 4 s on two clusters: 60 s; the work itself, 30 operations, takes 30 s."""
    b = GraphBuilder("found")
    boxes, scores = b.input("boxes", (1, 10, 4)), b.input("scores", (1, 10, 3))
    graph = b.build([b.add(SuppressOverlaps(kept=1), boxes, scores)])
    chip = _chip(outputs=1.0, more={"suppress_overlaps": {"stage": 4.0}})
    assert estimate(graph, chip).time_s == pytest.approx(60.0, rel=0.01)
    assert estimate(graph, _chip(outputs=1.0)).time_s == pytest.approx(30.0, rel=0.01)


def test_the_pipeline_of_a_context_fills_once_a_batch() -> None:
    chip = _chip(kernels={"fill": 0.5}, sram=300.0)
    assert estimate(_two_layers(4), chip).time_s == pytest.approx(24.0 + 3.0 + 60.0)


@pytest.mark.parametrize(("kernel", "averaged", "frames"), [(3, False, 3 / 4), (1, False, 1 / 4), (3, True, 7 / 4)])
def test_the_pipeline_fills_by_the_rows_that_layers_wait_for(kernel: int, averaged: bool, frames: float) -> None:
    """Rows of the window of four, a whole image for its mean; two contexts share them."""
    b = GraphBuilder("image")
    x = layers.conv(b, b.input("x", (1, 2, 4, 4)), 2, kernel, bias=False, name="conv")
    graph = b.build([layers.global_average(b, x) if averaged else x])
    sram = 2 * 2 * kernel**2 / 2
    more = {"global_average": {"whole": 1.0, "wait": 1.0}}
    eager, waiting = (_chip(kernels={"wait": wait}, sram=sram, more=more) for wait in (0.0, 1.0))
    balanced = estimate(graph, eager).columns["time_s"][0] - sram * 2 / 10
    found = estimate(graph, waiting).columns["time_s"][0] - estimate(graph, eager).columns["time_s"][0]
    assert found == pytest.approx(balanced * frames / 2)


def test_the_replay_takes_as_long_as_the_prices_add_up_to() -> None:
    chip = _chip(outputs=0.5, kernels={"swap": 5.0, "fill": 1.0}, sram=300.0)
    assert simulate(_two_layers(2), single(chip)).latency_s == pytest.approx(estimate(_two_layers(2), chip).time_s)


def test_an_operator_on_its_own_has_the_chip_to_itself() -> None:
    work = Gemm(
        kernel="linear",
        batch=1,
        m=1,
        n=20,
        k=10,
        a_elements=10,
        b_elements=200,
        a_format="int8",
        b_format="int8",
        compute_format="int8",
        accumulator_format="int32",
        out_format="int8",
        b_is_weight=True,
    )
    chip = _chip(sram=1.0)
    costs = price(_KIND, [work], _KIND.params(chip, chip.default_software))
    assert np.array_equal(costs.time_s, [[2.0]])
    assert float(costs.dram_bytes[0, 0]) == 0.0


def test_a_small_network_gains_less_from_more_clusters_than_a_large_one() -> None:
    """Bound by its slowest stage, ESPCN is as fast on Hailo-8L as on Hailo-8 (hailo_model_zoo), DnCNN is not."""
    half, whole = load_device("hailo_8l"), load_device("hailo_8")
    for name, low, high in (("espcn_x2", 1.0, 1.2), ("dncnn_color", 1.8, 2.0)):
        gain = estimate(workload(name), half).time_s / estimate(workload(name), whole).time_s
        assert low < gain < high


def test_resnet50_lies_on_a_hailo_8_whole_and_is_swapped_on_a_hailo_8l() -> None:
    """hailo_model_zoo: equal frame rates at batch 1 and 8 on the one, 3.6 times apart on the other."""

    def per_frame_s(device: str, batch: int) -> float:
        return estimate(workload("resnet50", batch=batch), load_device(device)).time_s / batch

    assert per_frame_s("hailo_8", 1) == pytest.approx(per_frame_s("hailo_8", 8))
    assert per_frame_s("hailo_8l", 1) > 2.5 * per_frame_s("hailo_8l", 8)
