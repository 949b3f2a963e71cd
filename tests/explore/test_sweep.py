"""A sweep prices every design as if it were alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnknownNameError
from hwsim.explore.sweep import Sweep, sweep
from hwsim.loading.sweep import load_sweep
from hwsim.specs.scenario import WorkloadSpec

Write = Callable[[str], Path]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(body: str) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text("schema: hwsim/sweep/v1\n" + body, encoding="utf-8")
        return path

    return written


@pytest.fixture(scope="module")
def npu_array() -> Sweep:
    return sweep(load_sweep(ROOT / "sweeps" / "npu_array.yaml"))


SMALL = """
base: {device: hexagon_v75}
vary: {systolic_npu.rows: [32, 64], memory.lpddr5x.bandwidth: [40 GB/s, 80 GB/s, 160 GB/s]}
workloads: [mobilenet_v2]
objectives: {latency_s: min, utilization: max}
"""


@pytest.mark.slow
def test_the_npu_sweep_has_ten_thousand_designs(npu_array: Sweep) -> None:
    assert len(npu_array.columns["latency_s"]) == npu_array.spec.designs == 10_000


@pytest.mark.slow
def test_designs_priced_alone_give_the_same_numbers(npu_array: Sweep) -> None:
    """Twenty designs, rebuilt with evolve and estimated one workload at a time."""
    (base,) = npu_array.spec.base.devices.values()
    sizes = [len(axis.values) for axis in npu_array.spec.vary]
    for design in np.linspace(0, 9_999, 20).astype(int).tolist():
        places = np.unravel_index(design, sizes)
        changes = {axis.path: axis.values[place] for axis, place in zip(npu_array.spec.vary, places, strict=True)}
        chip = base.evolve(changes)
        for use in npu_array.spec.workloads:
            alone = hwsim.estimate(hwsim.workload(use.name, **use.params), chip)
            assert npu_array.columns[f"{use.name}.latency_s"][design] == pytest.approx(alone.time_s, rel=1e-12)
            assert npu_array.columns[f"{use.name}.energy_j"][design] == pytest.approx(alone.energy_j, rel=1e-12)


def test_totals_are_sums_over_the_workloads(npu_array: Sweep) -> None:
    names = [use.name for use in npu_array.spec.workloads]
    for metric in ("latency_s", "energy_j"):
        total = sum(np.asarray(npu_array.columns[f"{name}.{metric}"]) for name in names)
        assert npu_array.columns[metric] == pytest.approx(total, rel=1e-12)


def test_a_larger_array_is_never_slower_at_the_front_nor_better_used(npu_array: Sweep) -> None:
    front = npu_array.pareto_columns()
    assert front["latency_s"] == sorted(front["latency_s"])
    assert front["utilization"] == sorted(front["utilization"])
    assert len(front["latency_s"]) > 5


def test_the_last_axis_varies_fastest(write: Write) -> None:
    found = sweep(load_sweep(write(SMALL)))
    assert found.columns["systolic_npu.rows"] == [32.0] * 3 + [64.0] * 3
    assert found.columns["memory.lpddr5x.bandwidth"] == [40e9, 80e9, 160e9] * 2


def test_phases_that_grow_are_summed_over_their_repeats(write: Write) -> None:
    path = write(
        """
base: {device: l4}
vary: {memory.gddr6.bandwidth: [300 GB/s, 600 GB/s]}
workloads: [{name: gpt2, phase: generate, prompt: 32, tokens: 5}]
objectives: {latency_s: min}
"""
    )
    found = sweep(load_sweep(path))
    chip = hwsim.load_device("l4").evolve({"memory.gddr6.bandwidth": "600 GB/s"})
    alone = hwsim.estimate(hwsim.workload("gpt2", phase="generate", prompt=32, tokens=5), chip)
    assert found.columns["latency_s"][1] == pytest.approx(alone.time_s, rel=1e-12)
    assert found.columns["energy_j"][1] == pytest.approx(alone.energy_j, rel=1e-12)


def test_one_workload_twice_keeps_its_columns_apart(write: Write) -> None:
    spec = load_sweep(write(SMALL))
    uses = tuple(WorkloadSpec(name="mlp", params={"batch": batch}) for batch in (1, 64))
    columns = sweep(replace(spec, workloads=uses)).columns
    assert columns["mlp(batch=1).latency_s"][0] < columns["mlp(batch=64).latency_s"][0]


def test_constraints_keep_designs_off_the_front(write: Write) -> None:
    free = sweep(load_sweep(write(SMALL)))
    limit = sorted(free.columns["latency_s"])[2]
    bound = SMALL + f"constraints: [{{metric: latency_s, op: '>', limit: {limit!r} s}}]\n"
    held = sweep(load_sweep(write(bound)))
    assert held.allowed.sum() == 3
    assert min(held.pareto_columns()["latency_s"]) > limit


def test_designs_of_unlike_dataflow_are_priced_in_groups(write: Write) -> None:
    path = write(
        """
base: {device: hexagon_v75}
vary: {systolic_npu.dataflow: [os, ws], systolic_npu.rows: [32, 64]}
workloads: [mobilenet_v2]
objectives: {latency_s: min}
"""
    )
    found = sweep(load_sweep(path))
    chip = hwsim.load_device("hexagon_v75").evolve({"systolic_npu.dataflow": "ws", "systolic_npu.rows": 32})
    alone = hwsim.estimate(hwsim.workload("mobilenet_v2"), chip)
    assert found.columns["systolic_npu.dataflow"] == ["os", "os", "ws", "ws"]
    assert found.columns["latency_s"][2] == pytest.approx(alone.time_s, rel=1e-12)


SWITCHING = """\
schema: hwsim/device/v1
name: switching
title: An Edge TPU that takes long to start kernels of large graphs
extends: edge_tpu
software:
  tflite: {weights_limit: 8 MB, beyond: streamed, assumption: "for this test"}
  streamed: {launch: 1 ms, passes: [fuse], gemm: {compute: 0.5}, assumption: "for this test"}
"""


def test_each_network_runs_on_the_stack_that_suits_its_size(write: Write, tmp_path: Path) -> None:
    device = tmp_path / "switching.yaml"
    device.write_text(SWITCHING, encoding="utf-8")
    path = write(
        """
base: {device: switching.yaml}
vary: {systolic_npu.rows: [32, 64]}
workloads: [mobilenet_v2, resnet50]
objectives: {latency_s: min}
"""
    )
    found = sweep(load_sweep(path))
    chip = hwsim.load_device(str(device)).evolve({"systolic_npu.rows": 32})
    stacks = []
    for name in ("mobilenet_v2", "resnet50"):
        alone = hwsim.estimate(hwsim.workload(name), chip)
        stacks.append(alone.software)
        assert found.columns[f"{name}.latency_s"][0] == pytest.approx(alone.time_s, rel=1e-12)
    assert stacks == ["tflite", "streamed"]


def test_progress_counts_every_design(write: Write) -> None:
    seen: list[int] = []
    sweep(load_sweep(write(SMALL)), seen.append)
    assert sum(seen) == 6


def test_a_base_of_several_devices_is_refused(write: Write) -> None:
    path = write(SMALL.replace("device: hexagon_v75", "system: snapdragon_8_gen_3").replace("vary: {", "vary: {npu."))
    path.write_text(path.read_text().replace(" memory.lpddr5x", " npu.memory.lpddr5x"), encoding="utf-8")
    with pytest.raises(InputError, match="varies one device, and snapdragon_8_gen_3 has 3"):
        sweep(load_sweep(path))


def test_a_metric_that_sweeps_lack_is_refused_by_name(write: Write) -> None:
    with pytest.raises(UnknownNameError, match="tokens_per_s"):
        sweep(load_sweep(write(SMALL.replace("utilization: max", "tokens_per_s: max"))))


def test_two_runs_give_the_same_columns(write: Write) -> None:
    path = write(SMALL)
    assert sweep(load_sweep(path)).columns == sweep(load_sweep(path)).columns


def test_no_design_is_faster_than_the_host_reads_images(write: Write) -> None:
    """64 images of 309 us are 19.8 ms, which the slower of two clocks exceeds by itself."""
    path = write(
        "base: {device: a100_sxm_40gb}\nsoftware: tf1\nvary: {simt_gpu.clock: [300 MHz, 5 GHz]}\n"
        "workloads: [{name: resnet50, batch: 64, dtype: fp16}]\nobjectives: {latency_s: min}\n"
    )
    slow, fast = sweep(load_sweep(path)).columns["latency_s"]
    assert slow > 0.02
    assert fast == pytest.approx(64 * 309e-6)
