# ruff: noqa: E501 - a message is quoted whole, on one line
"""Device files: what they become, what they may extend, and what is said of their faults."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hwsim.errors import FileFormatError, InputError, UnknownNameError
from hwsim.loading import extending
from hwsim.loading.device import load_device
from hwsim.loading.document import read_file

pytestmark = pytest.mark.usefixtures("write")


def faults(name: str = "toy") -> list[str]:
    with pytest.raises(FileFormatError) as caught:
        load_device(name)
    return [line.removeprefix("device_specs/") for line in str(caught.value).splitlines()]


def test_a_file_becomes_a_frozen_spec_in_si_units() -> None:
    chip = load_device("toy")
    assert (chip.name, chip.title, chip.kind, chip.aliases) == ("toy", "A toy", "systolic_npu", ("Toy-NPU", "TOY 1"))
    assert (chip.core.rows, chip.core.cols, chip.core.clock_hz, dict(chip.core.macs)) == (
        128, 64, 1e9, {"int8": 1.0, "fp16": 0.5},
    )  # fmt: skip
    assert [(m.name, m.capacity_bytes, m.bandwidth_bytes_per_s) for m in chip.memory] == [
        ("dram", 8e9, 64e9),
        ("sram", 4 * 2**20, 1e12),
    ]
    assert chip.main_memory.energy_j_per_byte == 32e-12
    assert (chip.power.tdp_w, chip.power.idle_w, dict(chip.power.energy_per_op_j)) == (8.0, 0.2, {"int8": 0.2e-12})
    assert dict(chip.datasheet.peak_op_per_s) == {"int8": 16.384e12}
    assert chip.path == "device_specs/toy.yaml"


def test_a_stack_keeps_its_constants_by_kernel_family() -> None:
    stack = load_device("toy").stack("compiled")
    assert (stack.launch_s, stack.timing, stack.basis, stack.fitted_to) == (2e-6, ("graph",), "calibrated", "nothing")
    assert {family: dict(constants) for family, constants in stack.kernels.items()} == {
        "gemm": {"compute": 0.8},
        "gemm.int8": {"compute": 0.5},
    }
    assert dict(stack.validated) == {"gemm": 9.8}


def test_the_first_stack_is_the_default() -> None:
    assert load_device("toy").default_software.name == "compiled"


def test_a_stack_extends_another_but_not_its_timing_or_validation() -> None:
    stack = load_device("toy").stack("eager")
    assert (stack.launch_s, stack.dispatch_s, stack.timing, dict(stack.validated)) == (2e-6, 2e-5, ("eager",), {})
    assert dict(stack.kernels["gemm"]) == {"compute": 0.8}


def test_a_device_is_found_under_its_aliases() -> None:
    assert load_device("toy npu").name == "toy"
    assert load_device("Toy_1").name == "toy"


def test_a_kind_without_constants_needs_no_software(write) -> None:
    write("device_specs/bare.yaml", """\
schema: hwsim/device/v1
name: bare
title: A bare roofline
kind: ideal
ideal: {assumption: "infinite"}
memory: [{name: dram, assumption: "infinite"}]
power: {tdp: 1 W, idle: 0 W, assumption: "none"}
""")  # fmt: skip
    chip = load_device("bare")
    assert chip.default_software.name == "none"
    assert chip.main_memory.bandwidth_bytes_per_s == 0.0


# extends


def child(write, text: str, name: str = "child", parent: str = "toy") -> None:
    head = f"schema: hwsim/device/v1\nname: {name}\ntitle: A child\nextends: {parent}\n"
    write(f"device_specs/{name}.yaml", head + text)


def test_a_child_differs_only_where_it_says_so(write) -> None:
    child(write, "systolic_npu: {rows: 256}\nmemory: [{name: dram, bandwidth: 128 GB/s}]")
    parent, made = load_device("toy"), load_device("child")
    assert (made.core.rows, made.core.cols) == (256, 64)
    assert [m.name for m in made.memory] == ["dram", "sram"]
    assert made.main_memory.bandwidth_bytes_per_s == 128e9
    assert made.main_memory.capacity_bytes == parent.main_memory.capacity_bytes
    assert made.power == parent.power


def test_a_second_memory_off_the_chip_is_refused(write) -> None:
    child(
        write,
        "memory: [{name: hbm, capacity: 16 GB, bandwidth: 1 TB/s, energy: 4 pJ/bit, boundary: phy, assumption: new}]",
    )
    assert faults("child") == [
        "child.yaml:5:86: memory.hbm.boundary: only the first level, dram, lies off the chip; write 'array', or call this level dram to change that one"
    ]


def test_an_inherited_source_says_which_values_are_not_the_parents(write) -> None:
    child(write, 'systolic_npu: {rows: 256, cols: 256}\nmemory: [{name: dram, bandwidth: 128 GB/s, source: "new"}]')
    made = load_device("child")
    assert made.core.source == "worked by hand (of toy; changed here: rows, cols)"
    assert made.memory[0].source == "new"
    assert made.memory[1].assumption == "round"


def test_what_belongs_to_one_product_is_not_inherited(write) -> None:
    child(write, "")
    made = load_device("child")
    assert (made.title, made.aliases, dict(made.datasheet.peak_op_per_s)) == ("A child", (), {})


def test_an_inherited_stack_is_a_relatives(write) -> None:
    child(write, "software: {compiled: {gemm: {compute: 0.9}}}")
    stack = load_device("child").stack("compiled")
    assert (stack.basis, dict(stack.validated)) == ("family", {})
    assert stack.assumption == "the constants of toy, a relative, except gemm"
    assert dict(stack.kernels["gemm"]) == {"compute": 0.9}


def test_a_stack_measured_on_the_child_is_its_own(write) -> None:
    child(write, 'software: {compiled: {basis: calibrated, fitted_to: "child.csv", validated: {gemm: 5}}}')
    stack = load_device("child").stack("compiled")
    assert (stack.basis, stack.fitted_to, dict(stack.validated)) == ("calibrated", "child.csv", {"gemm": 5.0})


def test_a_grandchild_inherits_through_its_parent(write) -> None:
    child(write, "systolic_npu: {rows: 256}")
    child(write, "systolic_npu: {cols: 256}", name="grandchild", parent="child")
    made = load_device("grandchild")
    assert (made.core.rows, made.core.cols) == (256, 256)


def test_a_cycle_names_its_chain(write) -> None:
    child(write, "", name="a", parent="b")
    child(write, "", name="b", parent="c")
    child(write, "", name="c", parent="a")
    (line,) = faults("a")
    assert line.endswith("c.yaml:4:10: extends: a cycle: a -> b -> c -> a; let one of them stand alone")


def test_a_device_cannot_extend_itself(write) -> None:
    child(write, "", name="a", parent="a")
    assert "a.yaml:4:10: extends: a cycle: a -> a; let one of them stand alone" in faults("a")


def test_a_chain_of_seventeen_is_too_long(write) -> None:
    child(write, "", name="c1", parent="toy")
    for number in range(2, 18):
        child(write, "", name=f"c{number}", parent=f"c{number - 1}")
    assert load_device("c15").core.rows == 128
    assert any("more than 16 files in a chain" in line for line in faults("c17"))


def test_a_fault_inherited_from_a_parent_is_placed_in_the_parent(write, toy: str) -> None:
    write("device_specs/toy.yaml", toy.replace("64 GB/s", "64 Gb/s"))
    child(write, "systolic_npu: {rows: 256}")
    assert faults("child") == [
        "toy.yaml:15:16: memory.dram.bandwidth: write a number and the unit 'B/s', e.g. '3 TB/s', not '64 Gb/s'"
    ]


def test_every_child_tells_of_a_key_that_stands_twice_in_its_parent(write, toy: str) -> None:
    write("device_specs/toy.yaml", toy.replace("rows: 128", "rows: 128\n  rows: 64"))
    for name in ("one", "two"):
        child(write, "", name=name)
        assert faults(name) == ["toy.yaml:8:3: systolic_npu: key 'rows' stands twice, first in line 7; keep one"]


@pytest.mark.parametrize("name", ["../toy", "/etc/toy", "..\\toy", "a/toy", "", ".."])
def test_a_name_with_folders_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="write a plain name, or a path that ends in"):
        load_device(name)


@pytest.mark.parametrize("name", ["../toy", "../toy.yaml", "/toy.yaml", "x/../../toy.yaml"])
def test_a_file_cannot_reach_outside_its_folder(write, name: str) -> None:
    child(write, "", parent=name)
    (line,) = [line for line in faults("child") if "extends" in line and "kind" not in line]
    assert line.startswith("child.yaml:4:10: extends: ")


def test_a_stack_cannot_extend_itself(write, toy: str) -> None:
    write("device_specs/toy.yaml", toy.replace("timing: [graph]", "extends: eager"))
    assert any("software.compiled.extends: a cycle: eager -> compiled -> eager" in line for line in faults())


def test_a_child_is_read_again_when_its_parent_changes(write, toy: str) -> None:
    child(write, "")
    assert load_device("child").core.cols == 64
    write("device_specs/toy.yaml", toy.replace("cols: 64", "cols: 1024"))
    assert load_device("child").core.cols == 1024


def test_an_unchanged_file_is_read_once() -> None:
    assert load_device("toy") is load_device("toy")


# faults

CHANGES = {
    ("rows: 128", "rows: 128\n  rows: 64"): [
        "toy.yaml:8:3: systolic_npu: key 'rows' stands twice, first in line 7; keep one"
    ],
    ("rows: 128", "rowz: 128"): [
        "toy.yaml:7:3: systolic_npu.rows: is missing; write 'rows: ...'",
        "toy.yaml:7:3: systolic_npu.rowz: no key 'rowz' here; did you mean 'rows'? Known: ",
    ],
    ("rows: 128", "rows: 0"): ["toy.yaml:7:9: systolic_npu.rows: write a whole number of at least 1, not 0"],
    ("rows: 128", "rows: -1"): ["toy.yaml:7:9: systolic_npu.rows: write a whole number of at least 1, not -1"],
    ("rows: 128", "rows: many"): ["toy.yaml:7:9: systolic_npu.rows: write a whole number of at least 1, not 'many'"],
    ("clock: 1 GHz", "clock: 1"): [
        "toy.yaml:9:10: systolic_npu.clock: write a number and the unit 'Hz', e.g. '1.8 GHz', not 1 (the unit is missing)"
    ],
    ("clock: 1 GHz", "clock: nan GHz"): [
        "toy.yaml:9:10: systolic_npu.clock: write a number and the unit 'Hz', e.g. '1.8 GHz', not 'nan GHz'"
    ],
    ("clock: 1 GHz", "clock: .nan"): [
        "toy.yaml:9:10: systolic_npu.clock: '.nan' is not a finite number; write a finite one or leave it out"
    ],
    ("clock: 1 GHz", "clock: 0 GHz"): ["toy.yaml:9:10: systolic_npu.clock: write a value greater than 0, not '0 GHz'"],
    ("clock: 1 GHz", "clock: -1 GHz"): ["toy.yaml:9:10: systolic_npu.clock: write a value greater than 0, not '-1 GHz'"],
    ("int8: 1,", "int9: 1,"): ["toy.yaml:10:10: systolic_npu.macs.int9: no number format 'int9'; did you mean 'int8'?"],
    ("int8: 1,", "int8: fast,"): [
        "toy.yaml:10:16: systolic_npu.macs.int8: write a number of at least 0, not 'fast'"
    ],
    ("64 GB/s", "512 Gb/s"): [
        "toy.yaml:15:16: memory.dram.bandwidth: write a number and the unit 'B/s', e.g. '3 TB/s', not '512 Gb/s'"
    ],
    ("    bandwidth: 64 GB/s\n", ""): ["toy.yaml:13:5: memory.dram.bandwidth: is missing; write 'bandwidth: 3 TB/s', say"],
    ("name: sram", "name: dram"): ["toy.yaml:18:11: memory.dram.name: two items are named 'dram'; rename one"],
    ('    assumption: "round"\n', ""): [
        "toy.yaml:18:5: memory.sram: says not where it is from; write 'source: \"document, table\"' or 'assumption: "
    ],
    ("tdp: 8 W", "tdp: 8 J"): ["toy.yaml:23:8: power.tdp: write a number and the unit 'W', e.g. '700 W', not '8 J'"],
    ("tdp: 8 W", "tdp: 100 mW"): [
        "toy.yaml:23:8: power.tdp: is 100 mW, and the chip draws 200 mW when idle; write a limit above that"
    ],
    ("tdp: 8 W", "tdp: 200 mW"): [
        "toy.yaml:23:8: power.tdp: is 200 mW, and the chip draws 200 mW when idle; write a limit above that"
    ],
    ('    fitted_to: "nothing"\n', ""): [
        "software.compiled: says not where it is from; write 'fitted_to: \"measurements\"' or 'assumption: "
    ],
    ("launch: 2 us", "lauch: 2 us"): [
        "software.compiled.lauch: write a mapping, 'key: value' lines or {key: value}, not '2 us'; did you mean 'launch'?"
    ],
    ("gemm: {compute: 0.8}", "gemm: {compote: 0.8}"): ["software.compiled.gemm.compote: no key 'compote' here; did you mean 'compute'?"],
    ("gemm: {compute: 0.8}", "gemm: {compute: 0.8, host: 1}"): [
        "systolic_npu.host: is missing or 0, and software.compiled.gemm leaves work to it; write '2 GOP/s', say"
    ],
    ("gemm.int8:", "gem.int8:"): ["software.compiled.gem.int8: no kernel family 'gem'; did you mean 'gemm'?"],
    ("gemm.int8:", "gemm.int9:"): ["software.compiled.gemm.int9: 'int9' is no number format; did you mean 'int8'?"],
    ("extends: compiled", "extends: compield"): ["no stack 'compield' in this file; did you mean 'compiled'?"],
    ("timing: [eager]", "passes: [fuze]"): ["software.eager.passes: no 'fuze' here; "],
    ("kind: systolic_npu", "kind: systolic_gpu"): ["toy.yaml:4:7: kind: write one of ", "not 'systolic_gpu'; did you mean 'systolic_npu'?"],
    ("kind: systolic_npu\n", ""): ["toy.yaml:1:1: kind: is missing; write one of "],
    ("name: toy", "name: tox"): ["toy.yaml:2:7: name: the file is called toy.yaml; write 'toy' or rename the file"],
    ("schema: hwsim/device/v1\n", ""): ["toy.yaml:1:1: schema: is missing; "],
    ("device/v1", "device/v2"): ["toy.yaml:1:9: schema: write one of hwsim/device/v1, not 'hwsim/device/v2'"],
    ("memory:\n", "memory: 5\nx:\n"): ["toy.yaml:12:9: memory: write a list, '- item' lines or [item, item], not 5"],
    ("aliases: [Toy-NPU, TOY 1]", "aliases: Toy"): ["toy.yaml:5:10: aliases: write a list of names"],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: repr(change[1])[:30])
def test_a_fault_gets_one_message_with_its_place(write, toy: str, change: tuple[str, str]) -> None:
    assert change[0] in toy
    write("device_specs/toy.yaml", toy.replace(*change, 1))
    began = time.process_time()
    found = faults()
    assert time.process_time() - began < 1.0
    assert len(found) == (2 if "rowz" in change[1] or "x:" in change[1] else 1)
    for wanted in CHANGES[change]:
        assert any(wanted in line for line in found), found


def test_all_faults_of_a_file_come_at_once(write, toy: str) -> None:
    for change in (("rows: 128", "rows: 0"), ("8 GB", "8"), ("8 W", "8 V"), ("[graph]", "graph"), ("toy", "tox")):
        toy = toy.replace(*change, 1)
    write("device_specs/toy.yaml", toy)
    assert [line.split(": ")[1] for line in faults()] == [
        "name",
        "systolic_npu.rows",
        "memory.dram.capacity",
        "power.tdp",
        "software.compiled.timing",
    ]


def test_faults_are_found_even_where_the_kind_is_unknown(write, toy: str) -> None:
    write("device_specs/toy.yaml", toy.replace("kind: systolic_npu", "kind: magic").replace("8 W", "8 V"))
    assert [line.split(": ")[1] for line in faults()] == ["kind", "power.tdp"]


def test_a_list_is_not_a_device(write) -> None:
    write("device_specs/toy.yaml", "- a\n")
    assert any("write a mapping" in line for line in faults())


def test_an_unknown_device_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="no device named 'toi'; did you mean 'toy'"):
        load_device("toi")


def test_a_path_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match="no such file"):
        load_device("nowhere.yaml")


def test_a_path_loads_what_lies_there(write, toy: str) -> None:
    path = write("elsewhere/mine.yaml", toy.replace("name: toy", "name: mine"))
    assert load_device(path).name == "mine"
    assert load_device(str(Path("elsewhere") / "mine.yaml")).name == "mine"


def test_a_file_that_several_extend_is_read_once(write, toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(extending, "read_file", lambda path, faults: read.append(path.name) or read_file(path, faults))
    write("device_specs/toy.yaml", toy)
    for name in ("one", "two"):
        path = write(f"device_specs/{name}.yaml", f"schema: hwsim/device/v1\nname: {name}\ntitle: T\nextends: toy\n")
        assert load_device(path).power.tdp_w == 8.0
    assert read == ["toy.yaml"]
    write("device_specs/toy.yaml", toy.replace("tdp: 8 W", "tdp: 16 W"))
    assert load_device(path).power.tdp_w == 16.0
