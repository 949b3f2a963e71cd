"""A system becomes devices, memories and links of the engine; what is missing is said."""

from __future__ import annotations

import pytest

from hwsim.engine.machine import machine_of
from hwsim.errors import InputError
from hwsim.loading.device import load_device
from hwsim.loading.system import load_system
from hwsim.specs.system import SystemSpec


def test_devices_with_memories_of_their_own_must_be_linked() -> None:
    apart = SystemSpec(name="two", title="two", devices={"a": load_device("t4"), "b": load_device("l4")})
    with pytest.raises(InputError, match=r"system two: links: nothing joins \[a, b\]"):
        machine_of(apart)


def test_devices_on_one_memory_contend_for_it_and_copy_nothing() -> None:
    machine = machine_of(load_system("snapdragon_8_gen_3"))
    assert [memory.shared for memory in machine.memories] == [True]
    assert {device.memory for device in machine.devices} == {0}
    assert not machine.copies.any()


def test_every_pair_of_linked_gpus_has_a_link_each_way() -> None:
    machine = machine_of(load_system("h100_x4"))
    assert len(machine.links) == 4 * 3
    assert machine.copies.sum() == 4 * 3
    assert [memory.name for memory in machine.memories] == [f"gpu{i}.hbm" for i in range(4)]
