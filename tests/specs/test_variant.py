"""Paths into a system: one device without a role, several with one, what they share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim.errors import InputError
from hwsim.loading.device import load_device
from hwsim.specs.fields import Choice, Count, Formats, Quantity, Ratio
from hwsim.specs.system import InterconnectSpec, SystemSpec, single
from hwsim.specs.variant import evolve_system, marker_at

LIBRARY = Path(__file__).resolve().parents[2] / "device_specs"


@pytest.fixture
def alone() -> SystemSpec:
    return single(load_device(LIBRARY / "hexagon_v75.yaml"))


@pytest.fixture
def pair() -> SystemSpec:
    npu = load_device(LIBRARY / "hexagon_v75.yaml")
    wires = InterconnectSpec(bandwidth_bytes_per_s=1.0, base_s=0.0, step_s=0.0)
    return SystemSpec(
        name="pair", title="pair", devices={"a": npu, "b": npu}, memory=npu.main_memory, interconnect=wires
    )


def test_a_lone_device_needs_no_role(alone: SystemSpec) -> None:
    changed = evolve_system(alone, {"systolic_npu.rows": 7, "memory.tcm.capacity": "1 B"})
    (device,) = changed.devices.values()
    assert (device.core.rows, device.memory_level("tcm").capacity_bytes) == (7, 1.0)
    assert list(changed.devices) == [changed.name] == ["hexagon_v75*"]


def test_of_several_devices_one_is_named(pair: SystemSpec) -> None:
    changed = evolve_system(pair, {"b.systolic_npu.rows": 7})
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
        ("systolic_npu.rows", Count),
        ("systolic_npu.clock", Quantity),
        ("systolic_npu.dataflow", Choice),
        ("systolic_npu.macs", Formats),
        ("systolic_npu.macs.int8", Ratio),
        ("memory.tcm.bandwidth", Quantity),
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
        ("systolic_npu.rowz", "no field 'rowz'; did you mean 'rows'"),
        ("systolic.rows", "no section 'systolic'; did you mean 'systolic_npu'"),
        ("memory.tmc.bandwidth", "no memory 'tmc'; did you mean 'tcm'"),
        ("memory.tcm", "no field ''"),
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
