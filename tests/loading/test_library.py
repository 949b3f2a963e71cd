"""Where names are looked for, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hwsim.errors import InputError, UnknownNameError
from hwsim.loading import library
from hwsim.loading.library import DEVICE, SCENARIO, find, find_by_alias, find_reference, list_devices, list_systems

pytestmark = pytest.mark.usefixtures("write")


def test_the_working_directory_comes_before_the_installed_library(write) -> None:
    mine = write("device_specs/h100_sxm.yaml", "x: 1")
    assert find(DEVICE, "h100_sxm") == mine


def test_the_installed_library_is_found_from_any_folder() -> None:
    path = find(DEVICE, "h100_sxm")
    assert path.name == "h100_sxm.yaml"
    assert path.is_absolute()


def test_folders_in_hwsim_path_come_last_and_may_hold_files_or_folders(write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("one/chip_a.yaml", "x: 1")
    write("two/device_specs/chip_b.yaml", "x: 1")
    write("two/device_specs/toy.yaml", "x: 1")
    write("two/scenarios/play.yaml", "x: 1")
    monkeypatch.setenv("HWSIM_PATH", os.pathsep.join(("one", "two", "nowhere")))
    assert find(DEVICE, "chip_a") == Path("one/chip_a.yaml")
    assert find(DEVICE, "chip_b") == Path("two/device_specs/chip_b.yaml")
    assert find(DEVICE, "toy") == Path("device_specs/toy.yaml")
    assert find(SCENARIO, "play") == Path("two/scenarios/play.yaml")
    assert {"chip_a", "chip_b", "toy"} <= set(list_devices())
    assert "play" not in list_devices()


def test_files_in_inner_folders_are_found_by_their_own_name(write) -> None:
    path = write("scenarios/theme/play.yaml", "x: 1")
    assert find(SCENARIO, "play") == path
    assert "play" in library.list_scenarios()


def test_systems_are_no_devices(write) -> None:
    write("device_specs/systems/duo.yaml", "x: 1")
    assert "duo" in list_systems()
    assert "duo" not in list_devices()


def test_names_are_listed_in_order_and_once(write) -> None:
    write("device_specs/h100_sxm.yaml", "x: 1")
    names = list_devices()
    assert list(names) == sorted(set(names))


@pytest.mark.parametrize("name", ["../toy", "a/b", "a\\b", "", "a\0", "..", "x" * 300])
def test_a_name_is_plain(name: str) -> None:
    with pytest.raises(InputError, match=r"a name has no '/' or '\.\.'"):
        find(DEVICE, name)


def test_a_path_may_lead_anywhere_but_must_exist(write, tmp_path: Path) -> None:
    path = write("a/b.yaml", "x: 1")
    assert find(DEVICE, str(tmp_path / path)) == tmp_path / path
    with pytest.raises(InputError, match=r"'a/c\.yaml': no such file"):
        find(DEVICE, "a/c.yaml")


def test_a_folder_that_looks_like_a_file_is_named() -> None:
    Path("x.yaml").mkdir()
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        find(DEVICE, "x.yaml")


def test_a_path_too_long_for_the_file_system_is_no_file() -> None:
    with pytest.raises(InputError, match="no such file"):
        find(DEVICE, "x" * 5000 + ".yaml")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no device named 'h100_sxn'; did you mean 'h100_sxm'"):
        find(DEVICE, "h100_sxn")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("raspberry_pi_5", "bcm2712_cpu (Broadcom BCM2712 (4 Cortex-A76, Raspberry Pi 5))"),
        ("Galaxy S24", "hexagon_v75 ("),
        ("ane", "apple_a14_ane ("),
    ],
)
def test_a_name_that_people_use_for_a_chip_leads_to_its_file(name: str, meant: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        find(DEVICE, name)
    assert str(caught.value).startswith(f"no device named '{name}'; known as that: {meant}")


def test_a_file_names_its_neighbour_first(write) -> None:
    write("mine/toy.yaml", "x: 1")
    assert find_reference(DEVICE, "toy", Path("mine/child.yaml")) == Path("mine/toy.yaml")
    assert find_reference(DEVICE, "toy", Path("elsewhere/child.yaml")) == Path("device_specs/toy.yaml")


def test_a_file_names_a_path_from_its_own_folder(write) -> None:
    write("mine/inner/x.yaml", "x: 1")
    assert find_reference(DEVICE, "inner/x.yaml", Path("mine/child.yaml")) == Path("mine/inner/x.yaml")


@pytest.mark.parametrize("name", ["../device_specs/toy.yaml", "/toy.yaml", "a/../../toy.yaml"])
def test_a_file_cannot_name_what_lies_outside(name: str) -> None:
    with pytest.raises(InputError, match="a file names others by name, or by a path below its own folder"):
        find_reference(DEVICE, name, Path("device_specs/child.yaml"))


@pytest.mark.parametrize("alias", ["Toy-NPU", "toy npu", "TOY_NPU", "toy", "Toy"])
def test_an_alias_is_found_whatever_its_case_and_dashes(alias: str) -> None:
    assert find_by_alias(alias) == "toy"


def test_an_alias_of_a_p_state_names_the_chip_at_it(write, toy: str) -> None:
    states = "  p_states: [{name: low, clock: 0.5, voltage: 0.8, aliases: [Toy (slow)]}]"
    write("device_specs/toy.yaml", toy.replace("  idle: 200 mW", f"  idle: 200 mW\n{states}"))
    assert find_by_alias("toy (SLOW)") == "toy@low"


@pytest.mark.parametrize("states", ["3", "[3]", "[{name: low, aliases: 3}]"])
def test_p_states_written_wrongly_hide_no_alias_of_the_chip(write, toy: str, states: str) -> None:
    write("device_specs/toy.yaml", toy.replace("  idle: 200 mW", f"  idle: 200 mW\n  p_states: {states}"))
    assert find_by_alias("TOY 1") == "toy"


def test_an_unknown_alias_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no device with the alias named 'Toi-NPU'"):
        find_by_alias("Toi-NPU")


def test_an_alias_of_two_devices_is_refused(write, toy: str) -> None:
    write("device_specs/twin.yaml", toy.replace("name: toy", "name: twin"))
    with pytest.raises(InputError, match="alias 'Toy-NPU' is listed by "):
        find_by_alias("Toy-NPU")


def test_a_broken_neighbour_does_not_hide_an_alias(write) -> None:
    write("device_specs/broken.yaml", "a: [")
    assert find_by_alias("Toy-NPU") == "toy"


def test_what_was_loaded_is_kept_until_a_file_changes(write) -> None:
    path = write("x.yaml", "a")
    loads: list[int] = []

    def load() -> tuple[int, tuple[Path, ...]]:
        loads.append(1)
        return len(loads), (path,)

    assert [library.cached("test", path, load) for _ in range(3)] == [1, 1, 1]
    write("x.yaml", "ab")
    assert library.cached("test", path, load) == 2
