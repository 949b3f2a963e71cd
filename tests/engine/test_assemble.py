"""What crosses links, what lies where, and how much memory a placed graph takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import OutOfMemoryError
from hwsim.explore.fit import footprint
from hwsim.flow import simulate
from hwsim.graph.graph import Graph, GraphBuilder
from hwsim.graph.tensor import Tensor
from hwsim.loading.device import load_device
from hwsim.operators.add import Add
from hwsim.operators.all_reduce import AllReduce
from hwsim.operators.append import Append
from hwsim.operators.concat import Concat
from hwsim.operators.expand import Expand
from hwsim.operators.linear import Linear
from hwsim.operators.relu import Relu
from hwsim.operators.reshape import Reshape
from hwsim.report.result import Result
from hwsim.specs.system import InterconnectSpec, SystemSpec, single
from hwsim.workloads import workload

MakeSystem = Callable[..., SystemSpec]
MakeChip = Callable[..., Any]

MEGABYTE = 500_000
"""fp16 elements of 1 MB; a ReLU of them moves 2 MB, which takes a toy chip 2 us."""
US = 1_000_000


def placed(graph: Graph, system: SystemSpec, where: Mapping[str, str], **options: Any) -> Result:
    """Run a graph with each node on the device given for its name."""
    rules = [{"match": {"name": name}, "device": role} for name, role in where.items()]
    return simulate(graph, system, policy="rules", options={"rules": rules}, **options)


def fan_out() -> Graph:
    """One tensor, made by `first` and read by `left` and `right`."""
    b = GraphBuilder("fan")
    x = b.add(Relu(), b.input("x", (MEGABYTE,)), name="first")
    ends = [b.add(Relu(), x, name=name) for name in ("left", "right")]
    return b.build(ends, dtype="fp16")


def crossed(result: Result) -> list[tuple[float, int, int]]:
    """(bytes, start, end) of all transfers, repeats of one phase once."""
    return [(size, start, end) for record in result.records for _, size, start, end, _ in record.transfers]


def test_a_tensor_crosses_once_for_two_readers_on_one_device(system: MakeSystem) -> None:
    """2 us to make it, 1 us latency and 1 us for 1 MB to cross, 2 us for each reader in turn."""
    result = placed(fan_out(), system(), {"first": "a", "left": "b", "right": "b"})
    assert crossed(result) == [(1e6, 2 * US, 4 * US)]
    assert result.makespan_ps == 8 * US


def test_a_tensor_crosses_to_each_device_that_reads_it(system: MakeSystem) -> None:
    result = placed(fan_out(), system("abc"), {"first": "a", "left": "b", "right": "c"})
    assert crossed(result) == [(1e6, 2 * US, 4 * US)] * 2
    assert result.makespan_ps == 6 * US


def test_a_tensor_stays_where_it_is_read_where_it_was_made(system: MakeSystem) -> None:
    assert crossed(placed(fan_out(), system(), dict.fromkeys(("first", "left", "right"), "a"))) == []


def test_units_on_one_memory_hand_over_without_a_copy(system: MakeSystem) -> None:
    result = placed(fan_out(), system(shared=True), {"first": "a", "left": "b", "right": "b"})
    assert crossed(result) == [(0.0, 2 * US, 3 * US)]
    assert result.makespan_ps == 7 * US
    assert result.peak_memory_bytes == 4_000_000  # the input, what was made of it, and both results


def test_link_energy_is_that_of_the_bytes_that_crossed(system: MakeSystem) -> None:
    result = placed(fan_out(), system(energy_j_per_byte=1e-9), {"first": "a", "left": "b", "right": "b"})
    assert result.energy_breakdown_j["link"] == pytest.approx(1e-3)


def test_views_of_one_tensor_cross_as_one(system: MakeSystem) -> None:
    b = GraphBuilder("views")
    x = b.add(Relu(), b.input("x", (MEGABYTE,)), name="first")
    views = [b.add(Reshape((rows, -1)), x, name=f"view{rows}") for rows in (2, 4)]
    graph = b.build([b.add(Relu(), view, name=f"end{i}") for i, view in enumerate(views)], dtype="fp16")
    result = placed(graph, system(), {"first": "a", "view2": "a", "view4": "a", "end*": "b"})
    assert crossed(result) == [(1e6, 2 * US, 4 * US)]


@pytest.mark.parametrize("view_on", ["a", "b"])
def test_what_a_view_shows_lies_where_it_was_made(system: MakeSystem, view_on: str) -> None:
    b = GraphBuilder("view")
    x = b.add(Relu(), b.input("x", (MEGABYTE,)), name="first")
    y = b.add(Reshape((2, -1)), x, name="view")
    graph = b.build([b.add(Relu(), y, name="end")], dtype="fp16")
    result = placed(graph, system(), {"first": "a", "view": view_on, "end": "b"})
    assert crossed(result) == [(1e6, 2 * US, 4 * US)]


def test_a_view_of_a_weight_is_wherever_the_weight_is(system: MakeSystem) -> None:
    b = GraphBuilder("weight view")
    x = b.input("x", (4, 8))
    w = b.add(Reshape((16, 8)), b.weight("w", (128,)), name="view")
    graph = b.build(
        [b.add(Linear(), b.add(Linear(), x, w, name="one"), b.weight("v", (8, 16)), name="two")], dtype="fp16"
    )
    result = placed(graph, system(), {"view": "a", "one": "b", "two": "b"})
    assert crossed(result) == []


def test_weights_lie_in_the_memory_of_every_device_that_reads_them(system: MakeSystem) -> None:
    b = GraphBuilder("shared weight")
    w = b.weight("w", (1000, 1000))
    x = b.add(Linear(), b.input("x", (1, 1000)), w, name="one")
    graph = b.build([b.add(Linear(), x, w, name="two")], dtype="fp16")
    result = placed(graph, system(), {"one": "a", "two": "b"})
    low, high = (int(record) for record in result.records[0].memory_peak_bytes)
    assert low >= 2_000_000
    assert high >= 2_000_000


def test_weights_of_later_phases_lie_with_the_device_that_will_read_them(system: MakeSystem) -> None:
    b = GraphBuilder("phases")
    b.phase("first")
    x = b.add(Relu(), b.input("x", (1, 1000)), name="one")
    b.phase("second")
    graph = b.build([b.add(Linear(), x, b.weight("w", (1000, 1000)), name="two")], dtype="fp16")
    result = placed(graph, system(), {"one": "a", "two": "b"})
    first, second = (record.memory_peak_bytes.tolist() for record in result.records)
    assert first[0] < 10_000
    assert first[1] == 2_000_000
    assert second[1] == 2_000_000 + 2 * 2_000


def test_a_copy_is_gone_after_its_last_reader(system: MakeSystem) -> None:
    """On b: the copy and `left` beside it, then only `left`, then `left` and what `on` makes of it."""
    b = GraphBuilder("copy")
    x = b.add(Relu(), b.input("x", (MEGABYTE,)), name="first")
    y = b.add(Relu(), x, name="left")
    graph = b.build([b.add(Relu(), y, name="on")], dtype="fp16")
    result = placed(graph, system(), {"first": "a", "left": "b", "on": "b"})
    assert result.records[0].memory_peak_bytes.tolist() == [2_000_000, 2_000_000]
    assert result.records[0].memory_samples[1][1].max() == 2_000_000


def test_what_crossed_is_freed_at_its_source_when_it_has_arrived(system: MakeSystem) -> None:
    """On a: both inputs and two more tensors at any time, as the original goes when the third of `near` comes."""
    b = GraphBuilder("source")
    x = b.add(Relu(), b.input("x", (MEGABYTE,)), name="first")
    far = b.add(Relu(), x, name="far")
    y = b.input("y", (MEGABYTE,))
    for i in range(3):
        y = b.add(Relu(), y, name=f"near{i}")
    graph = b.build([far, y], dtype="fp16")
    result = placed(graph, system(), {"first": "a", "near*": "a", "far": "b"})
    assert result.records[0].memory_peak_bytes.tolist() == [4_000_000, 2_000_000]


def loop(repeat: int) -> Graph:
    """A tensor made once and read in every repeat of a second phase, and once in a third."""
    b = GraphBuilder("loop")
    b.phase("encode")
    context = b.add(Relu(), b.input("x", (MEGABYTE,)), name="encode")
    b.phase("steps", repeat=repeat)
    x = b.add(Add(), context, b.input("noise", (MEGABYTE,)), name="step")
    b.phase("decode")
    return b.build([b.add(Add(), x, context, name="decode")], dtype="fp16")


def test_a_tensor_of_an_earlier_phase_crosses_once_and_stays(system: MakeSystem) -> None:
    result = placed(loop(5), system(), {"encode": "a", "step": "b", "decode": "b"})
    assert crossed(result) == [(1e6, 0, 2 * US)]
    assert [(record.phase, record.repeats) for record in result.records] == [
        ("encode", 1),
        ("steps", 1),
        ("steps", 4),
        ("decode", 1),
    ]
    assert result.makespan_ps == (2 + (2 + 3) + 4 * 3 + 3) * US


def test_a_copy_of_an_earlier_phase_takes_memory_in_every_repeat(system: MakeSystem) -> None:
    """On b in the second phase: the copy, the noise and what is made of them."""
    result = placed(loop(5), system(), {"encode": "a", "step": "b", "decode": "b"})
    assert [record.memory_peak_bytes.tolist()[1] for record in result.records[1:]] == [3_000_000] * 3


def test_a_tensor_that_comes_back_in_a_later_phase_is_still_where_it_was_made(system: MakeSystem) -> None:
    """The context is still on a; only what the last step made comes back."""
    result = placed(loop(2), system(), {"encode": "a", "step": "b", "decode": "a"})
    assert [len(record.transfers) for record in result.records] == [0, 1, 0, 1]


def test_a_cache_that_grows_takes_the_bytes_of_its_longest_length(chip: MakeChip) -> None:
    """10 tokens of 2 kB, then one more in each of 5 repeats; the new token and the sum over the cache beside it."""
    b = GraphBuilder("cache")
    b.phase("decode", repeat=5)
    cache = b.state("cache", (1, 1, 10, 1000), step=(0, 0, 1, 0))
    new = b.add(Relu(), b.input("x", (1, 1, 1, 1000)), name="new")
    grown = b.add(Append(2), cache, new, name="append")
    graph = b.build([b.add(Reshape((-1,)), grown, name="view")], dtype="fp16")
    result = simulate(graph, single(chip()))
    assert result.peak_memory_bytes == 15 * 2000 + 2000 + 2000
    assert footprint(graph).total_bytes == result.peak_memory_bytes


def test_a_tensor_repeated_as_a_view_takes_its_own_bytes_only(chip: MakeChip) -> None:
    b = GraphBuilder("expand")
    x = b.add(Relu(), b.input("x", (1, 1000)), name="small")
    graph = b.build([b.add(Relu(), b.add(Expand((64, 1000)), x), name="large")], dtype="fp16")
    assert simulate(graph, single(chip())).peak_memory_bytes == 2000 + 2000 + 128_000


@st.composite
def chains(draw: st.DrawFn) -> Graph:
    """Random graphs of element-wise and joining operators, some of whose tensors are outputs."""
    b = GraphBuilder("random")
    tensors: list[Tensor] = [b.input("x", (draw(st.integers(1, 50)), 8))]
    for _ in range(draw(st.integers(1, 12))):
        first = draw(st.sampled_from(tensors))
        kind = draw(st.sampled_from(["relu", "join", "view"]))
        if kind == "relu":
            tensors.append(b.add(Relu(), first))
        elif kind == "join":
            tensors.append(
                b.add(Concat(0), first, draw(st.sampled_from([t for t in tensors if t.shape[1:] == first.shape[1:]])))
            )
        else:
            tensors.append(b.add(Reshape((-1, 8)), first))
    return b.build([tensors[-1]], dtype="fp16")


def liveness_peak(graph: Graph) -> int:
    """Count independently: nodes in order, storage freed when no later node needs it."""
    owner = {name: name for name in graph.tensors}
    for node in graph.nodes:
        if node.op.kind == "reshape":
            owner[node.outputs[0]] = owner[node.inputs[0]]
    last = {owner[name]: i for i, node in enumerate(graph.nodes) for name in node.inputs if node.op.kind != "reshape"}
    for name in graph.outputs:
        last[owner[name]] = len(graph.nodes)
    alive = {name: t.type.size_bytes for name, t in graph.tensors.items() if t.role == "input"}
    peak = sum(alive.values())
    for i, node in enumerate(graph.nodes):
        made = [name for name in node.outputs if owner[name] == name]
        alive |= {name: graph.tensors[name].type.size_bytes for name in made}
        peak = max(peak, sum(alive.values()))
        gone = [name for name in alive if last.get(name, i) <= i and graph.tensors[name].role != "input"]
        for name in gone:
            if name in made or name in {owner[n] for n in node.inputs}:
                del alive[name]
    return peak


@given(chains())
def test_the_peak_of_a_chain_is_what_counting_by_hand_gives(graph: Graph) -> None:
    device = load_device("ideal")
    assert simulate(graph, single(device)).peak_memory_bytes == liveness_peak(graph)


@given(chains())
def test_the_footprint_is_the_peak_of_the_run(graph: Graph) -> None:
    device = load_device("ideal")
    assert footprint(graph).total_bytes == simulate(graph, single(device)).peak_memory_bytes


NETWORKS = ["resnet18", "mobilenet_v2", "gpt2", "stable_diffusion_1_5", "whisper_tiny", "yolov8n", "lstm"]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_footprint_of_a_network_is_the_peak_of_its_run(name: str) -> None:
    result = simulate(workload(name), single(load_device("ideal")))
    assert footprint(result.graph).total_bytes == result.peak_memory_bytes


def test_an_overflow_names_the_memory_and_the_tensors(chip: MakeChip) -> None:
    small = single(chip({"memory.dram.capacity": "2.5 MB"}))
    with pytest.raises(OutOfMemoryError, match=r"memory dram: capacity 2.5 MB.*left needs 1 MB.*: first 1 MB, x 1 MB"):
        simulate(fan_out(), small)


def wide(layers: int) -> Graph:
    """Layers of 2 MB of weights each."""
    b = GraphBuilder("wide")
    x = b.input("x", (1, 1000))
    for i in range(layers):
        x = b.add(Linear(), x, b.weight(f"w{i}", (1000, 1000)))
    return b.build([x], dtype="fp16")


def test_weights_that_do_not_fit_are_named(chip: MakeChip) -> None:
    with pytest.raises(OutOfMemoryError, match="weights"):
        simulate(wide(10), single(chip({"memory.dram.capacity": "10 MB"})))


def test_weights_that_do_not_fit_stream_from_the_host_when_they_may_spill(chip: MakeChip) -> None:
    """Of 20 MB at least the 10 MB that do not fit cross 25 GB/s, which takes 400 us; alone, 20 MB take 20 us."""
    tight = single(chip({"memory.dram.capacity": "10 MB"}))
    roomy = simulate(wide(10), single(chip()))
    spilled = simulate(wide(10), tight, allow_spill=True)
    assert roomy.makespan_ps < 25 * US
    assert spilled.makespan_ps > 400 * US
    assert sum(record.spilled_bytes for record in spilled.records) >= 10e6
    assert spilled.peak_memory_bytes <= 10e6


def test_permission_to_spill_changes_nothing_where_all_fits(chip: MakeChip) -> None:
    plain, allowed = (simulate(wide(4), single(chip()), allow_spill=allow) for allow in (False, True))
    assert plain.makespan_ps == allowed.makespan_ps
    assert plain.peak_memory_bytes == allowed.peak_memory_bytes
    assert allowed.records[0].spilled_bytes == 0.0


def reduced() -> Graph:
    """A product on each of the devices, its sum over all of them, and what is made of that."""
    b = GraphBuilder("reduced")
    x = b.add(Relu(), b.input("x", (MEGABYTE,)), name="before")
    y = b.add(AllReduce(participants=2), x, name="sum")
    return b.build([b.add(Relu(), y, name="after")], dtype="fp16")


def test_a_collective_holds_every_device_until_it_is_done(system: MakeSystem) -> None:
    """A ring of two sends 1 MB each at 1 TB/s after 1 us: 2 us with p = 1, between two operators of 2 us."""
    links = InterconnectSpec(bandwidth_bytes_per_s=1e12, base_s=1e-6, step_s=0.0, efficiency=1.0, overlap=1.0)
    result = placed(reduced(), system(interconnect=links), {"*": "a"})
    assert result.makespan_ps == 6 * US
    assert result.records[0].busy_ps.tolist() == [6 * US, 2 * US]


def test_every_rank_of_a_collective_pays_for_the_bytes_it_sends(system: MakeSystem) -> None:
    """Each of two ranks sends 1 MB at 1 nJ a byte."""
    links = InterconnectSpec(
        bandwidth_bytes_per_s=1e12, base_s=0.0, step_s=0.0, efficiency=1.0, overlap=1.0, energy_j_per_byte=1e-9
    )
    result = placed(reduced(), system(interconnect=links), {"*": "a"})
    assert result.energy_breakdown_j["link"] == pytest.approx(2e-3)
