"""System files: devices in roles, shared memory, links, interconnect."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import FileFormatError, InputError, UnknownNameError
from hwsim.loading import library
from hwsim.loading.device import load_device
from hwsim.loading.links import MEAN_START_S
from hwsim.loading.system import load_system

pytestmark = pytest.mark.usefixtures("write")

HEAD = "schema: hwsim/system/v1\nname: duo\n"
LINK = 'bandwidth: 10 GB/s, latency: 1 us, assumption: "round"'


@pytest.fixture
def duo(write):
    """Writes the system duo with the lines given."""
    return lambda text: write("device_specs/systems/duo.yaml", HEAD + text)


def faults() -> list[str]:
    with pytest.raises(FileFormatError) as caught:
        load_system("duo")
    return [line.removeprefix("device_specs/systems/") for line in str(caught.value).splitlines()]


def test_a_device_read_while_in_another_folder_still_serves_a_system(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "_CACHE", {})
    monkeypatch.chdir(repository)
    load_device("l40s")
    monkeypatch.chdir(tmp_path)
    assert {spec.name for spec in load_system("l40s_x2").devices.values()} == {"l40s"}


def test_a_system_holds_devices_by_role_with_memory_and_links(duo) -> None:
    duo(
        'memory: {name: lpddr, capacity: 12 GB, bandwidth: 76.8 GB/s, source: "x"}\n'
        "devices: {npu: toy, cpu: toy}\n"
        f"links: [{{between: [npu, cpu], coherent: true, {LINK}}}]\n"
    )
    system = load_system("duo")
    assert {role: device.name for role, device in system.devices.items()} == {"npu": "toy", "cpu": "toy"}
    assert system.memory is not None
    assert system.memory.bandwidth_bytes_per_s == 76.8e9
    (link,) = system.links
    assert (link.between, link.bandwidth_bytes_per_s, link.latency_s, link.coherent) == (
        ("npu", "cpu"),
        1e10,
        1e-6,
        True,
    )


def test_the_name_of_a_device_is_a_system_of_it_alone() -> None:
    system = load_system("toy")
    assert list(system.devices) == ["toy"]
    assert load_system("device_specs/toy.yaml").devices["toy"].name == "toy"


def test_a_count_makes_numbered_roles_and_all_links_every_pair(duo) -> None:
    duo(f"devices: {{gpu: {{use: toy, count: 3}}}}\nlinks: [{{between: all, {LINK}}}]\n")
    system = load_system("duo")
    assert list(system.devices) == ["gpu0", "gpu1", "gpu2"]
    assert [link.between for link in system.links] == [("gpu0", "gpu1"), ("gpu0", "gpu2"), ("gpu1", "gpu2")]


def test_pairs_inside_a_machine_and_between_machines_have_links_of_their_own(duo) -> None:
    """Two machines of two: one pair inside each, four between them."""
    duo(
        "devices: {gpu: {use: toy, count: 4}}\n"
        f"links: [{{between: machine, {LINK}}}, {{between: machines, {LINK}}}]\n"
        "interconnect: {bandwidth: 1 GB/s, base: 1 us, step: 1 us, node: 2, assumption: round}\n"
    )
    assert [link.between for link in load_system("duo").links] == [
        ("gpu0", "gpu1"),
        ("gpu2", "gpu3"),
        ("gpu0", "gpu2"),
        ("gpu0", "gpu3"),
        ("gpu1", "gpu2"),
        ("gpu1", "gpu3"),
    ]


def test_a_device_may_be_changed_in_its_role(duo) -> None:
    duo("devices: {npu: {use: toy, set: {systolic_npu.rows: 256, memory.dram.bandwidth: 1 TB/s}}}\n")
    npu = load_system("duo").device("npu")
    assert (npu.core.rows, npu.main_memory.bandwidth_bytes_per_s) == (256, 1e12)


def test_a_device_may_stand_in_its_role_at_a_p_state(duo, write, toy: str) -> None:
    states = "  p_states: [{name: high, clock: 1.0, voltage: 1.0}, {name: low, clock: 0.5, voltage: 0.8}]"
    write("device_specs/toy.yaml", toy.replace("  idle: 200 mW", f"  idle: 200 mW\n{states}"))
    duo("devices: {little: toy@low, big: {use: toy@high}}\n")
    little, big = load_system("duo").devices.values()
    assert (little.core.clock_hz, big.core.clock_hz) == (0.5e9, 1e9)


def test_a_p_state_that_the_device_of_a_role_lacks_is_a_fault_of_the_system(duo) -> None:
    duo("devices: {npu: toy@low}\n")
    assert faults() == ["duo.yaml:3:16: devices.npu.use: no P-state of toy named 'low'; known: none"]


def test_an_interconnect_prices_collectives(duo) -> None:
    duo(
        "devices: {gpu: {use: toy, count: 2}}\n"
        'interconnect: {bandwidth: 450 GB/s, base: 10 us, step: 1 us, efficiency: 0.9, source: "x"}\n'
    )
    wires = load_system("duo").interconnect
    assert wires is not None
    assert (wires.bandwidth_bytes_per_s, wires.base_s, wires.step_s, wires.efficiency) == (450e9, 1e-5, 1e-6, 0.9)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("devices: {npu: tow}\n", "duo.yaml:3:16: devices.npu.use: no device named 'tow'; did you mean 'toy'?"),
        ("devices: {npu: ../toy}\n", "duo.yaml:3:16: devices.npu.use: '../toy': a name has no '/' or '..'"),
        ("devices: {}\n", "duo.yaml:3:10: devices: is empty; write 'gpu: h100_sxm', say"),
        ("devices: {NPU: toy}\n", "duo.yaml:3:11: devices.NPU: write a role in lower case, e.g. 'npu'"),
        ("title: x\n", "duo.yaml:1:1: devices: is missing"),
        (
            "devices: {npu: {use: toy, set: {systolic_npu.rowz: 1}}}\n",
            "duo.yaml:3:52: devices.npu.set.systolic_npu.rowz: no field 'rowz'; did you mean 'rows'? Known: rows",
        ),
        (
            "devices: {npu: {use: toy, set: {power.tdp: 8}}}\n",
            "duo.yaml:3:44: devices.npu.set.power.tdp: write a number and the unit 'W', e.g. '700 W', not 8",
        ),
        (
            f"devices: {{npu: toy}}\nlinks: [{{between: [npu, cpu], {LINK}}}]\n",
            "duo.yaml:4:19: links.0.between: no device 'cpu'; did you mean 'npu'?",
        ),
        (
            f"devices: {{npu: toy}}\nlinks: [{{between: [npu, npu], {LINK}}}]\n",
            "duo.yaml:4:19: links.0.between: links 'npu' with itself; write two roles",
        ),
        (
            f"devices: {{a: toy, b: toy}}\nlinks: [{{between: [a, b], {LINK}}}, {{between: all, {LINK}}}]\n",
            "links.1.between: 'a' and 'b' are linked twice; keep one link",
        ),
        (
            f"devices: {{a: toy}}\nlinks: [{{between: [a], {LINK}}}]\n",
            "links.0.between: write two roles, e.g. '[npu, cpu]', 'all', 'machine' or 'machines', not a list",
        ),
        (
            "devices: {a: toy, b: toy}\nlinks: [{between: all, bandwidth: 1 GB/s}]\n",
            "duo.yaml:4:9: links.0: says not where it is from; write 'source: ",
        ),
        ("devices: {a: {use: toy, count: 0}}\n", "devices.a.count: write a whole number of at least 1, not 0"),
        ("devices: {a: {use: toy, count: 5000}}\n", "devices.a.count: at most 1024"),
        (
            f"devices: {{a: {{use: toy, count: 100}}}}\nlinks: [{{between: all, {LINK}}}]\n",
            "'all' would link 100 devices in pairs; write an 'interconnect:' for them",
        ),
        ("devices: {a1: toy, a: {use: toy, count: 2}}\n", "two devices are called 'a1'; rename one"),
    ],
)
def test_a_fault_gets_one_message_with_its_place(duo, text: str, fault: str) -> None:
    duo(text)
    (line,) = faults()
    assert fault in line


def test_faults_of_every_sort_come_at_once(duo) -> None:
    duo(
        "memory: {name: m, capacity: 12, source: x}\ndevices: {npu: tow}\n"
        f"links: [{{between: [npu, cpu], bandwith: 1, {LINK}}}]\n"
    )
    assert [line.split(": ")[1] for line in faults()] == [
        "memory.capacity",
        "devices.npu.use",
        "links.0.between",
        "links.0.bandwith",
    ]


def test_links_like_nvlink_take_what_carries_between_its_generations(duo) -> None:
    """What the file gives stands; starts follow from its start, what NCCL plans with from its bandwidth."""
    links_text = 'interconnect: {{like: nvlink, bandwidth: 100 GB/s, {}assumption: "x"}}\n'
    text = "devices: {{gpu: {{use: toy, count: 2}}}}\n" + links_text
    duo(text.format("start: 4 us, own: 0.5, eager: {step: 2 us}, "))
    links = load_system("duo").interconnect
    assert links is not None
    assert links.eager is not None
    assert links.exchange is not None
    assert (links.eager.base_s, links.eager.step_s, links.own, links.efficiency) == (4e-6, 2e-6, 0.5, 0.939)
    assert links.exchange.base_s == pytest.approx(6.42e-6)
    assert (links.eager.planned_eager_bytes_per_s, links.eager.planned_bulk_bytes_per_s) == (31e9, 81e9)
    duo(text.format(""))
    links = load_system("duo").interconnect
    assert links is not None
    assert links.eager is not None
    assert links.eager.base_s == pytest.approx(MEAN_START_S)


def test_links_without_starts_are_incomplete(duo) -> None:
    duo('devices: {gpu: toy}\ninterconnect: {bandwidth: 1 GB/s, start: 4 us, assumption: "x"}\n')
    assert [line.split(": ", 1)[1] for line in faults()] == [
        "interconnect.base: is missing; write 'base: 1 us', or 'like: nvlink' for all",
        "interconnect.step: is missing; write 'step: 1 us', or 'like: nvlink' for all",
        "interconnect.start: is read where 'like: nvlink' stands beside it; write 'base'",
    ]


def test_a_residual_of_links_is_over_bytes_and_participants_of_a_pattern(duo) -> None:
    item = "{of: [%s], over: [%s], from: [1024], to: [1048576], knots: [2], weights: [0.1, 0]}"
    given = "source: x, bandwidth: 1 GB/s, base: 1 us"
    text = f"devices: {{npu: toy}}\ninterconnect: {{{given}, step: 0 s, residual: [%s], network: %s}}\n"
    network = f"{{{given}, residual: [%s]}}"
    duo(text % (item % ("all_gather", "bytes"), network % (item % ("send", "participants"))))
    links = load_system("duo").interconnect
    assert links is not None
    assert links.network is not None
    assert [each.over for each in (*links.residuals, *links.network.residuals)] == [("bytes",), ("participants",)]
    duo(text % (item % ("all_gather", "rows"), network % (item % ("all_gatter", "bytes"))))
    inside, between = faults()
    assert "interconnect.residual[0].over: 'rows' is no size of a kernel; known: bytes, participants" in inside
    assert "interconnect.network.residual[0].of: no collective 'all_gatter'; did you mean 'all_gather'" in between


def test_a_fault_of_a_device_file_is_told_where_the_system_names_it(duo, write, toy: str) -> None:
    write("device_specs/toy.yaml", toy.replace("rows: 128", "rows: 0").replace("cols: 64", "cols: 0"))
    duo("devices: {npu: toy}\n")
    (line,) = faults()
    assert line.startswith("duo.yaml:3:16: devices.npu.use: device_specs/toy.yaml:7:9: systolic_npu.rows")
    assert line.endswith("(and 1 more)")


def test_an_unknown_system_gets_the_nearest_of_systems_and_devices(duo) -> None:
    duo("devices: {npu: toy}\n")
    with pytest.raises(UnknownNameError, match="no system or device named 'dou'; did you mean 'duo'"):
        load_system("dou")


def test_a_name_with_folders_is_refused() -> None:
    with pytest.raises(InputError, match="write a plain name"):
        load_system("../toy")
