"""Paths into a system: one device without a role, several with one, what they share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hwsim.errors import InputError
from hwsim.specs.device import DeviceSpec
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio
from hwsim.specs.system import InterconnectSpec, SystemSpec, single
from hwsim.specs.variant import evolve_system, marker_at


@pytest.fixture
def alone(chip: DeviceSpec) -> SystemSpec:
    return single(chip)


@pytest.fixture
def pair(chip: DeviceSpec) -> SystemSpec:
    wires = InterconnectSpec(bandwidth_bytes_per_s=1.0, base_s=0.0, step_s=0.0)
    return SystemSpec(
        name="pair", title="pair", devices={"a": chip, "b": chip}, memory=chip.main_memory, interconnect=wires
    )


def test_a_lone_device_needs_no_role(alone: SystemSpec) -> None:
    changed = evolve_system(alone, {"array.rows": 7, "memory.sram.capacity": "1 B"})
    (device,) = changed.devices.values()
    assert (device.core.rows, device.memory_level("sram").capacity_bytes) == (7, 1.0)
    assert list(changed.devices) == [changed.name] == ["toychip*"]


def test_of_several_devices_one_is_named(pair: SystemSpec) -> None:
    changed = evolve_system(pair, {"b.array.rows": 7})
    assert changed.devices["a"].core.rows != 7
    assert changed.devices["b"].core.rows == 7


def test_what_several_share_is_reached_by_its_section(pair: SystemSpec) -> None:
    changed = evolve_system(pair, {"memory.bandwidth": "2 B/s", "interconnect.bandwidth": "3 B/s"})
    assert changed.memory is not None
    assert changed.interconnect is not None
    assert (changed.memory.bandwidth_bytes_per_s, changed.interconnect.bandwidth_bytes_per_s) == (2.0, 3.0)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("array.rows", Count),
        ("array.clock", Quantity),
        ("array.dataflow", Choice),
        ("array.macs", Formats),
        ("array.macs.int8", Ratio),
        ("memory.sram.bandwidth", Quantity),
        ("power.tdp", Quantity),
        ("power.p_states.high.clock", Ratio),
        ("queues", Count),
    ],
)
def test_a_path_leads_to_what_may_be_written_there(alone: SystemSpec, path: str, kind: type) -> None:
    assert isinstance(marker_at(alone, path), kind)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("array.rowz", "no field 'rowz'; did you mean 'rows'"),
        ("arrray.rows", "no section 'arrray'; did you mean 'array'"),
        ("memory.sarm.bandwidth", "no memory 'sarm'; did you mean 'sram'"),
        ("memory.sram", "no field ''"),
        ("power.p_states", "write the path of a single field"),
        ("power.p_states.higher.clock", "no item 'higher'; did you mean 'high'"),
        ("power.tdp.x", "write the path of a single field"),
    ],
)
def test_a_wrong_path_is_named(alone: SystemSpec, path: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        marker_at(alone, path)


@pytest.mark.parametrize("reach", [lambda s, p: evolve_system(s, {p: 1}), marker_at])
def test_of_several_devices_an_unknown_role_is_named(pair: SystemSpec, reach: Callable[..., object]) -> None:
    with pytest.raises(InputError, match=r"c\.queues: no device 'c'; known: a, b; write ROLE.PATH"):
        reach(pair, "c.queues")
