"""What an NPU's software leaves to a core of the host CPU: windows beyond the arrays, some row-wise kernels."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.devices.base import KINDS, price
from hwsim.devices.systolic_npu import SystolicNpuSection
from hwsim.graph.graph import Graph
from hwsim.graph.tensor import TensorType
from hwsim.operators.reduce import ReduceAxes
from hwsim.specs.device import DeviceSpec, MemorySpec, PowerSpec
from hwsim.specs.software import SoftwareSpec
from tests.devices.works import gemm_of


def _products_a_second(window: int, stride: int) -> float:
    """Of a convolution of 64 x 64 pixels to one channel on RK3588, whose arrays take sides to 31 and steps to 7."""
    chip = hwsim.load_device("rk3588_npu_core").evolve({"systolic_npu.host": "1 MOP/s"})
    image: Graph = hwsim.ops.conv2d(1, 3, 64, 64, 1, window, stride=stride, dtype="int8")
    places = ((64 - window) // stride + 1) ** 2
    return places * 3 * window * window / float(hwsim.estimate(image, chip).time_s)


def _on_the_host(window: int) -> float:
    """A million operations a second, so many of which a multiply-add takes, and the start of each row of the window."""
    constants = hwsim.load_device("rk3588_npu_core").stack("rknn").kernels["gemm"]
    return 1e6 / float(constants["host"] + constants["host_row"] / window)


def test_a_window_longer_than_the_arrays_take_runs_on_the_host() -> None:
    assert _products_a_second(32, 32) == pytest.approx(_on_the_host(32), rel=1e-3)
    assert _products_a_second(31, 7) > 1e8


def test_patches_further_apart_than_the_arrays_step_run_on_the_host() -> None:
    assert _products_a_second(8, 8) == pytest.approx(_on_the_host(8), rel=1e-3)
    assert _products_a_second(7, 7) > 1e8


@pytest.mark.parametrize(
    ("height", "width", "step", "host_op"),
    [(32, 1, 1, 0.5 + 16), (1, 32, 1, 0.5 + 0.5), (3, 3, 8, 0.0), (8, 8, 8, 0.5 + 2.0), (31, 31, 7, 0.0)],
)
def test_the_host_starts_each_row_of_a_window_anew(height: int, width: int, step: int, host_op: float) -> None:
    """Half an operation a multiply-add and 16 a row, at 1,000 a second; a step beyond the window is a dilation."""
    section = SystolicNpuSection(
        rows=4, cols=4, clock_hz=1e12, macs={"int8": 1.0}, vector={"int8": 8.0}, window=31, step=7, host_op_per_s=1e3
    )
    gemm = {"vector": 0.0, "host": 0.5, "host_row": 16.0}
    chip = DeviceSpec(
        name="toy", title="Toy", kind="systolic_npu", core=section, power=PowerSpec(tdp_w=2.0, idle_w=1.0),
        memory=(MemorySpec(name="dram", capacity_bytes=1e12, bandwidth_bytes_per_s=1e15),),
        software={"toy": SoftwareSpec(name="toy", kernels={"gemm": gemm})},
    )  # fmt: skip
    kind = KINDS["systolic_npu"]
    work = gemm_of(10, 1, height * width, "int8", channels=1, kh=height, kw=width, stride=step)
    time_s = price(kind, [work], kind.params(chip, chip.default_software)).time_s[0, 0]
    assert time_s == pytest.approx(10 * height * width * host_op / 1e3, rel=1e-3, abs=1e-3)


def test_extremes_have_a_label_of_their_own() -> None:
    x = TensorType((1, 8, 6, 6), "int8")
    for mode, label in (("max", "extremes"), ("min", "extremes"), ("mean", "reduce")):
        op = ReduceAxes(mode, (1,), True)
        (work,) = op.lower([x], list(op.infer([x])))
        assert work.kernel == label


@pytest.mark.parametrize(("chip", "slower"), [("rk3588_npu_core", True), ("rv1126_npu", False)])
def test_averages_over_a_padded_border_run_on_the_host_under_rknn_toolkit_2(chip: str, slower: bool) -> None:
    """Ten times a host as fast shortens PP-LiteSeg, three of whose averages divide by fewer elements at borders."""
    device = hwsim.load_device(chip)
    graph = hwsim.workload("pp_liteseg_stdc1", dtype="w8a8", height=256, width=256)
    faster = device.evolve({"systolic_npu.host": "48 GOP/s"})
    assert (hwsim.estimate(graph, faster).time_s < hwsim.estimate(graph, device).time_s) is slower
