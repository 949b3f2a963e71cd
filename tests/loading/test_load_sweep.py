# ruff: noqa: E501 - a message is quoted whole, on one line
"""Sweep files: axes with all their values, in the units of the fields they vary."""

from __future__ import annotations

import pytest

from hwsim.errors import FileFormatError
from hwsim.loading.sweep import load_sweep

pytestmark = pytest.mark.usefixtures("write")

HEAD = "schema: hwsim/sweep/v1\nbase: {device: toy}\n"
TAIL = "workloads: [resnet50, {name: bert_base, batch: 4}]\nobjectives: {latency_s: min, energy_j: min}\n"
FULL = (
    HEAD
    + "vary: {systolic_npu.rows: [32, 64, 128], memory.sram.bandwidth: {from: 50 GB/s, to: 400 GB/s, steps: 4, scale: log}}\n"
    + TAIL
    + 'constraints: [{metric: average_power_w, op: "<=", limit: 8 W}]\nsearch: {kind: grid}\nsoftware: eager\nseed: 3\n'
)


@pytest.fixture
def grid(write):
    """Writes the sweep grid."""
    return lambda text: write("sweeps/grid.yaml", text)


def axis(grid, vary: str):
    grid(HEAD + f"vary: {vary}\n" + TAIL)
    return load_sweep("grid").vary[0]


def faults() -> list[str]:
    with pytest.raises(FileFormatError) as caught:
        load_sweep("grid")
    return [line.removeprefix("sweeps/") for line in str(caught.value).splitlines()]


def test_a_sweep_says_what_varies_what_runs_and_what_counts(grid) -> None:
    grid(FULL)
    spec = load_sweep("grid")
    assert (spec.name, list(spec.base.devices), spec.software, spec.seed) == ("grid", ["toy"], "eager", 3)
    assert [(use.name, dict(use.params)) for use in spec.workloads] == [("resnet50", {}), ("bert_base", {"batch": 4})]
    assert spec.objectives == (("latency_s", "min"), ("energy_j", "min"))
    assert [(c.metric, c.op, c.limit) for c in spec.constraints] == [("average_power_w", "<=", 8.0)]
    assert (spec.search.kind, spec.designs) == ("grid", 12)


def test_a_list_is_taken_as_written(grid) -> None:
    found = axis(grid, "{memory.sram.capacity: [1 MB, 2 MiB]}")
    assert (found.values, found.numbers, found.unit) == (("1 MB", "2 MiB"), (1e6, 2.0 * 2**20), "B")


def test_words_may_vary_too(grid) -> None:
    found = axis(grid, "{systolic_npu.dataflow: [os, ws]}")
    assert (found.values, found.numbers) == (("os", "ws"), ("os", "ws"))


def test_a_linear_range_is_evenly_spaced_and_includes_both_ends(grid) -> None:
    assert axis(grid, "{power.tdp: {from: 1 W, to: 5 W, steps: 5}}").numbers == (1.0, 2.0, 3.0, 4.0, 5.0)


def test_a_log_range_multiplies(grid) -> None:
    found = axis(grid, "{memory.dram.bandwidth: {from: 1 GB/s, to: 8 GB/s, steps: 4, scale: log}}")
    assert found.numbers == pytest.approx((1e9, 2e9, 4e9, 8e9))
    assert found.unit == "B/s"


def test_a_range_of_counts_is_rounded_and_each_comes_once(grid) -> None:
    found = axis(grid, "{systolic_npu.rows: {from: 1, to: 4, steps: 7, scale: log}}")
    assert found.values == (1, 2, 3, 4)


def test_the_values_of_a_range_give_back_its_numbers_when_set(grid) -> None:
    found = axis(grid, "{memory.dram.bandwidth: {from: 50 GB/s, to: 400 GB/s, steps: 8, scale: log}}")
    (chip,) = load_sweep("grid").base.devices.values()
    for value, number in zip(found.values, found.numbers, strict=True):
        assert chip.evolve({found.path: value}).main_memory.bandwidth_bytes_per_s == number


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("rows", "rowz", "grid.yaml:3:8: vary.systolic_npu.rowz: no field 'rowz'; did you mean 'rows'?"),
        ("systolic_npu.rows", "systolic_npu.macs", "does not lead to a single number or word; write the path of one"),
        ("64, 128", "64, 64", "grid.yaml:3:36: vary.systolic_npu.rows.2: 64 stands twice; keep one"),
        ("64, 128", "0, 128", "grid.yaml:3:32: vary.systolic_npu.rows.1: write a whole number of at least 1, not 0"),
        ("[32, 64, 128]", "[]", "vary.systolic_npu.rows: is empty; write at least one value"),
        ("[32, 64, 128]", "5", "vary.systolic_npu.rows: write a list of values, or '{from: ..."),
        ("from: 50 GB/s", "from: 50 Gb/s", "vary.memory.sram.bandwidth.from: write a number and the unit 'B/s'"),
        ("from: 50 GB/s", "from: 500 GB/s", "bandwidth.to: write a value above 'from', not '400 GB/s'"),
        ("steps: 4", "steps: 1", "bandwidth.steps: write a whole number of at least 2, not 1"),
        ("steps: 4", "steps: 1000000000", "bandwidth.steps: write at most 10000, not 1000000000"),
        ("scale: log", "scale: lin", "bandwidth.scale: write one of linear, log, not 'lin'"),
        ("steps: 4, ", "", "bandwidth: write a list of values, or '{from: ..., to: ..., steps: 8, scale: log}'"),
        ("{device: toy}", "{device: tow}", "grid.yaml:2:16: base.device: no device named 'tow'; did you mean 'toy'?"),
        ("{device: toy}", "{}", "grid.yaml:2:7: base: write either '{device: NAME}' or '{system: NAME}'"),
        ("resnet50", "resnet51", "grid.yaml:4:13: workloads.0.name: no workload named 'resnet51'; did you mean"),
        (
            "batch: 4",
            "bach: 4",
            "grid.yaml:4:41: workloads.bert_base.bach: workload 'bert_base' has no parameter 'bach'",
        ),
        ("latency_s: min", "latency_s: less", "objectives.latency_s: write one of min, max, not 'less'"),
        ("latency_s: min", "latencies: min", "grid.yaml:5:14: objectives.latencies: write one of latency_s"),
        ("limit: 8 W", "limit: 8", "constraints.0.limit: write a number and the unit 'W', e.g. '700 W', not 8"),
        ("kind: grid", "kind: nsga2", "search.kind: no search 'nsga2' yet; write one of: grid"),
        ("software: eager", "software: eagre", "software: toy has no software stack 'eagre'; did you mean 'eager'"),
    ],
)
def test_a_fault_gets_one_message_with_its_place(grid, old: str, new: str, fault: str) -> None:
    assert old in FULL
    grid(FULL.replace(old, new, 1))
    (line,) = faults()
    assert fault in line


def test_a_log_range_cannot_begin_at_zero(grid) -> None:
    grid(HEAD + "vary: {memory.sram.latency: {from: 0 s, to: 1 us, steps: 3, scale: log}}\n" + TAIL)
    assert "a log scale begins above zero" in faults()[0]


def test_words_have_no_range(grid) -> None:
    grid(HEAD + "vary: {systolic_npu.dataflow: {from: os, to: ws, steps: 3}}\n" + TAIL)
    assert "words have no range; write a list of values" in faults()[0]


def test_more_designs_than_a_million_are_refused(grid) -> None:
    axes = ", ".join(
        f"{path}: {{from: 1, to: 1000, steps: 1000}}" for path in ("systolic_npu.rows", "systolic_npu.cols")
    )
    grid(HEAD + f"vary: {{{axes}, systolic_npu.cores: [1, 2]}}\n" + TAIL)
    assert faults() == ["grid.yaml:3:7: vary: 2000000 designs; write fewer steps, 1000000 designs at most"]
