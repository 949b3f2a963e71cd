"""A graph priced on a device: rows once, repeats by their growth, lower clocks when somebody asks."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from hwsim.devices.base import KINDS, Costs, OperatingPoint, price
from hwsim.devices.pricing import GraphCosts, NodeCosts, price_graph
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.lowering import lower
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.operators.all_gather import AllGather
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.workloads import workload

NAMES = [item.name for item in fields(Costs)]


def small(dtype: str = "fp16") -> Graph:
    """A product, a view, and an element-wise operator; the product twice."""
    b = GraphBuilder("small")
    x = b.input("x", (64, 256))
    for i in range(2):
        x = b.add(Linear(), x, b.weight(f"w{i}", (256, 256)))
    y = b.add(Reshape((-1,)), x)
    return b.build([b.add(Relu(), y)], dtype=dtype)


def costs_of(graph: Graph, name: str = "l4", **options: bool) -> GraphCosts:
    device = load_device(name)
    return price_graph(lower(graph), device, device.default_software, **options)


def test_equal_operators_cost_the_same_and_views_nothing() -> None:
    costs = costs_of(small())
    nodes = costs.nodes(costs.lowered.graph.phases[0])
    assert costs.rows.time_s.shape == (1, 2)
    assert nodes.time_s[0] == nodes.time_s[1] > 0.0
    assert nodes.time_s[2] == nodes.energy_j[2] == 0.0
    assert nodes.time_s[3] > 0.0


def test_a_chip_is_read_once_for_many_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    device = replace(load_device("l4"))
    kind, read = KINDS[device.kind], []
    params = kind.params
    monkeypatch.setattr(kind, "params", lambda *given: read.append(given) or params(*given))
    for dtype in ("fp16", "bf16", "fp32"):
        price_graph(lower(small(dtype)), device, device.default_software)
    assert len(read) == 1
    slower = replace(device, core=replace(device.core, sms=device.core.sms // 2))
    half, whole = (price_graph(lower(small()), chip, chip.default_software) for chip in (slower, device))
    assert len(read) == 2
    assert half.rows.utilization.sum() > whole.rows.utilization.sum()  # of half the peak


def test_rows_cost_what_pricing_them_alone_gives() -> None:
    costs = costs_of(small())
    kind = KINDS[costs.spec.kind]
    alone = price(kind, costs.lowered.works, kind.params(costs.spec, costs.stack))
    for name in NAMES:
        assert (getattr(costs.rows, name) == getattr(alone, name)).all(), name


def test_what_a_device_cannot_run_takes_for_ever_and_nothing_else() -> None:
    costs = costs_of(small("fp8"), "t4")
    assert costs.mask.tolist() == [False, False]
    assert np.isinf(costs.rows.time_s).all()
    assert not costs.rows.energy_j.any()
    assert costs.node_supported.tolist() == [False, False, True, False]


def test_a_device_file_may_refuse_a_kernel_or_allow_only_some() -> None:
    device = load_device("l4")
    lowered = lower(small())
    for changed, expected in (
        (replace(device, unsupported=("relu",)), [True, False]),
        (replace(device, unsupported=("gemm",)), [False, True]),
        (replace(device, supports=("linear",)), [True, False]),
    ):
        assert price_graph(lowered, changed, changed.default_software).mask.tolist() == expected


def test_collectives_cost_what_the_interconnect_says_and_need_one() -> None:
    b = GraphBuilder("sum")
    lowered = lower(b.build([b.add(AllReduce(participants=4), b.input("x", (1000,)))], dtype="fp16"))
    system = load_system("h100_x4")
    device = system.devices["gpu0"]
    alone = price_graph(lowered, device, device.default_software)
    joined = price_graph(lowered, device, device.default_software, interconnect=system.interconnect, participants=4)
    assert alone.mask.tolist() == [False]
    assert joined.mask.tolist() == [True]
    assert 0.0 < joined.rows.time_s[0, 0] < 1e-3


@pytest.mark.parametrize(("system", "corrected"), [("h100_x4", True), ("h200_x4", True), ("h100_pair_x4", False)])
def test_rows_know_whether_a_residual_of_the_links_corrects_them(system: str, corrected: bool) -> None:
    """H100's all-gathers were measured, H200 has the same links; bridged pairs take constants, not what was learned."""
    b = GraphBuilder("gather")
    lowered = lower(b.build([b.add(AllGather(participants=4), b.input("x", (2**20,)))], dtype="fp16"))
    links = load_system(system)
    device = links.devices["gpu0"]
    costs = price_graph(lowered, device, device.default_software, interconnect=links.interconnect, participants=4)
    assert costs.corrected.tolist() == [corrected]


def test_a_stack_may_reach_a_share_of_the_links_and_take_time_for_each_call() -> None:
    b = GraphBuilder("sum")
    lowered = lower(b.build([b.add(AllReduce(participants=4), b.input("x", (1000,)))], dtype="fp16"))
    system = load_system("h100_x4")
    device = system.devices["gpu0"]
    plain, slow = (
        device.default_software,
        replace(
            device.default_software,
            dispatch_s=0.0,
            kernels={"collective": {"dispatch": 1e-3, "floor": 2e-3, "memory": 0.5}},
        ),
    )
    found = [
        price_graph(lowered, device, stack, interconnect=system.interconnect, participants=4).rows
        for stack in (plain, slow)
    ]
    took = found[0].time_s[0, 0] - found[0].dispatch_s[0, 0]
    assert found[1].dispatch_s[0, 0] == 1e-3
    assert found[1].time_s[0, 0] == pytest.approx(3e-3 + 2 * took)
    assert found[1].active_j[0, 0] == pytest.approx(device.power.active_w * (2e-3 + 2 * took))


@pytest.mark.parametrize("name", ["h100_sxm", "hexagon_v75", "xeon_8480"])
def test_a_later_repeat_costs_what_a_graph_of_that_length_costs(name: str) -> None:
    grown = costs_of(workload("gpt2", phase="generate", prompt=50, tokens=4, dtype="fp16"), name)
    phase = grown.lowered.graph.phases[1]
    for repeat in range(4):
        alone = costs_of(workload("gpt2", phase="decode", context=50 + repeat, dtype="fp16"), name)
        expected = alone.nodes(alone.lowered.graph.phases[0])
        found = grown.nodes(phase, repeat)
        for item in fields(NodeCosts):
            assert getattr(found, item.name) == pytest.approx(getattr(expected, item.name), rel=1e-12), item.name


def test_a_lower_clock_costs_what_pricing_at_that_clock_gives() -> None:
    costs = costs_of(small(), capped=True)
    point = costs.clocks.index(0.5)
    floor = costs.spec.power.voltage_floor
    kind = KINDS[costs.spec.kind]
    params = kind.params(costs.spec, costs.stack, OperatingPoint(0.5, floor + (1.0 - floor) * 0.5))
    expected = price(kind, costs.lowered.works, params)
    found = costs.row_costs(costs.lowered.graph.phases[0], 0, point)
    for name in NAMES:
        assert (getattr(found, name) == getattr(expected, name)).all(), name


def test_a_later_repeat_costs_more_at_a_lower_clock_too() -> None:
    grown = costs_of(workload("gpt2", phase="generate", prompt=50, tokens=4, dtype="fp16"), "hexagon_v75", capped=True)
    alone = costs_of(workload("gpt2", phase="decode", context=53, dtype="fp16"), "hexagon_v75", capped=True)
    found = grown.nodes(grown.lowered.graph.phases[1], 3, (4, 4, 0.0))
    expected = alone.nodes(alone.lowered.graph.phases[0], 0, (4, 4, 0.0))
    assert found.time_s == pytest.approx(expected.time_s, rel=1e-12)
    assert found.energy_j == pytest.approx(expected.energy_j, rel=1e-12)


def test_a_blend_lies_between_its_two_points_in_proportion() -> None:
    costs = costs_of(small(), capped=True)
    (phase,) = costs.lowered.graph.phases
    fast, slow, mixed = (costs.nodes(phase, 0, blend) for blend in ((0, 0, 0.0), (4, 4, 0.0), (0, 4, 0.25)))
    assert mixed.time_s == pytest.approx(0.75 * fast.time_s + 0.25 * slow.time_s)
    assert mixed.energy_j == pytest.approx(0.75 * fast.energy_j + 0.25 * slow.energy_j)


@pytest.mark.parametrize("software", ["cuda_graph", "eager"])
def test_a_phase_s_energy_and_time_are_those_of_its_nodes_in_all_repeats(software: str) -> None:
    device = load_device("h100_sxm")
    graph = workload("gpt2", phase="generate", prompt=50, tokens=4, dtype="fp16")
    costs = price_graph(lower(graph), device, device.stack(software))
    phase = graph.phases[1]
    repeats = [costs.nodes(phase, i) for i in range(4)]
    energy, time = costs.phase_energy_and_time(phase)
    busy = sum(float((n.time_s - n.dispatch_s).sum()) for n in repeats)
    host = sum(float(n.dispatch_s.sum()) for n in repeats)
    assert energy == pytest.approx(sum(float(n.energy_j.sum()) for n in repeats))
    assert time == pytest.approx(max(busy, host))


def test_only_the_chosen_nodes_count_towards_a_phase() -> None:
    costs = costs_of(small())
    (phase,) = costs.lowered.graph.phases
    chosen = np.array([True, False, False, False])
    energy, time = costs.phase_energy_and_time(phase, chosen)
    nodes = costs.nodes(phase)
    assert (energy, time) == pytest.approx((nodes.energy_j[0], nodes.time_s[0] - nodes.dispatch_s[0]))


def test_work_within_the_limit_prices_no_lower_clock() -> None:
    costs = costs_of(small(), capped=True)
    assert costs.cap(costs.lowered.graph.phases[0]) == (0, 0, 0.0)
    assert costs._later == {}


def test_a_request_is_paid_once_by_the_first_operator_of_a_phase() -> None:
    """Two operators and a floor of 50 us: only the first is later, and a capped phase knows of it."""
    spec = load_device("hexagon_v75")
    stack = replace(spec.default_software, request_s=50e-6)
    lowered = lower(workload("mlp", dtype="fp16"))
    plain, floored = (price_graph(lowered, spec, s) for s in (replace(stack, request_s=0.0), stack))
    phase = lowered.graph.phases[0]
    later = floored.nodes(phase).time_s - plain.nodes(phase).time_s
    assert later[0] == pytest.approx(50e-6)
    assert not later[1:].any()
    assert floored.phase_energy_and_time(phase)[1] - plain.phase_energy_and_time(phase)[1] == pytest.approx(50e-6)


def test_a_run_takes_at_least_as_long_as_the_host_reads_its_items() -> None:
    """One item read in 1 ms, where the device takes less: the first operator waits for the rest."""
    spec = load_device("l4")
    lowered = lower(small())
    phase = lowered.graph.phases[0]
    fed = price_graph(lowered, spec, replace(spec.default_software, item_s=1e-3))
    assert fed.phase_energy_and_time(phase)[1] == pytest.approx(1e-3)
    assert fed.nodes(phase).time_s.sum() == pytest.approx(1e-3)
    plain = costs_of(small())
    quick = price_graph(lowered, spec, replace(spec.default_software, item_s=1e-9))
    assert (quick.nodes(phase).time_s == plain.nodes(phase).time_s).all()


def test_a_host_that_dispatches_issues_nothing_before_its_request() -> None:
    """The request of 1 ms comes on top of 2 ms of dispatch, which are longer than what the device does."""
    spec = load_device("l4")
    lowered = lower(small())
    phase = lowered.graph.phases[0]
    costs = price_graph(lowered, spec, replace(spec.default_software, dispatch_s=5e-4, request_s=1e-3))
    assert costs.nodes(phase).dispatch_s.tolist() == pytest.approx([1.5e-3, 5e-4, 0.0, 5e-4])
    assert costs.phase_energy_and_time(phase)[1] == pytest.approx(2.5e-3)
