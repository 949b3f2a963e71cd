"""A chip as a value: its parts by name, and variants of it."""

from __future__ import annotations

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.specs.device import DeviceSpec


def test_the_first_memory_holds_tensors_and_levels_go_by_name(chip: DeviceSpec) -> None:
    assert chip.main_memory.name == "dram"
    assert chip.memory_level("sram").capacity_bytes == 8e6
    with pytest.raises(UnknownNameError, match="no memory of toychip named 'sarm'; did you mean 'sram'"):
        chip.memory_level("sarm")


def test_the_first_stack_is_the_default_and_others_go_by_name(chip: DeviceSpec) -> None:
    assert chip.stack() is chip.default_software
    assert chip.stack("eager").name == "eager"
    with pytest.raises(UnknownNameError, match="no software stack of toychip named 'eagre'; did you mean 'eager'"):
        chip.stack("eagre")


def test_a_variant_differs_where_it_says_and_nowhere_else(chip: DeviceSpec) -> None:
    changed = chip.evolve(
        {"array.rows": 128, "memory.sram.bandwidth": "1 TB/s", "power.tdp": "9 W", "queues": 2}, name="bigger"
    )
    assert (changed.name, changed.core.rows, changed.power.tdp_w, changed.queues) == ("bigger", 128, 9.0, 2)
    assert changed.memory_level("sram").bandwidth_bytes_per_s == 1e12
    assert changed.evolve({"queues": chip.queues}).core.cols == chip.core.cols
    assert chip.core.rows == 64


def test_a_variant_says_whose_it_is(chip: DeviceSpec) -> None:
    changed = chip.evolve({"queues": 2})
    assert changed.name == "toychip*"
    assert "toychip" in changed.note


def test_no_change_prices_as_the_chip_itself(chip: DeviceSpec) -> None:
    same = chip.evolve({})
    assert (same.core, same.memory, same.power) == (chip.core, chip.memory, chip.power)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"array": 1}, "array: names a section"),
        ({"array.rowz": 1}, "array.rowz: no field 'rowz'; did you mean 'rows'"),
        ({"array.rows": "many"}, "array.rows: write a whole number"),
        ({"memory.sram.bandwidth": "1 Tb/s"}, "memory.sram.bandwidth: write a number and the unit 'B/s'"),
        ({"memory.sram.bandwidth": 1e12}, "the unit is missing"),
        ({"memory.vram2.bandwidth": "1 TB/s"}, "no item named 'vram2'"),
        ({"pover.tdp": "1 W"}, "no field 'pover'; did you mean 'power'"),
        ({"name": "x"}, "no field 'name'"),
    ],
)
def test_a_change_the_yaml_would_refuse_is_refused(chip: DeviceSpec, changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        chip.evolve(changes)
