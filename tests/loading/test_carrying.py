"""Constants that a chip inherits: in its clocks and watts, unless its file says otherwise."""

from __future__ import annotations

import pytest

from hwsim.loading.device import load_device

SLOWER = "simt_gpu: {clock: 705 MHz}\n"
HEAD = "schema: hwsim/device/v1\nname: slow\ntitle: A slow A100\nextends: a100_sxm_80gb\n"


def kernel(name: str, stack: str, family: str) -> dict[str, float]:
    return dict(load_device(name).software[stack].kernels[family])


def test_half_the_clock_makes_launches_twice_as_long(write) -> None:
    write("device_specs/slow.yaml", HEAD + SLOWER)
    own, found = (kernel(name, "cuda_graph", "map") for name in ("a100_sxm_80gb", "slow"))
    assert {name: found[name] / own[name] for name in ("launch", "floor", "memory")} == pytest.approx(
        {"launch": 2.0, "floor": 2.0, "memory": 1.0}
    )


def test_a_hosts_time_is_inherited_as_it_is(write) -> None:
    write("device_specs/slow.yaml", HEAD + SLOWER)
    own, found = (kernel(name, "eager", "gemm.fp32") for name in ("a100_sxm_80gb", "slow"))
    assert (found["dispatch"], found["launch"]) == (own["dispatch"], own["launch"])


def test_less_power_lowers_the_ceiling_of_products(write) -> None:
    write("device_specs/slow.yaml", HEAD + "power: {tdp: 150 W}\n")
    own, found = (kernel(name, "cuda_graph", "gemm") for name in ("a100_sxm_80gb", "slow"))
    assert 0.3 < found["compute"] / own["compute"] < 0.8
    assert found["memory"] == own["memory"]


def test_graphics_memory_leaves_less_to_products(write) -> None:
    """The same chip with a memory that never rests: 2 TB/s at 6 pJ a bit are 98 W."""
    dear = "memory: [{name: hbm, energy: 12 pJ/bit}]\n"
    found = []
    for name, more in (("slow", ""), ("slower", dear)):
        text = HEAD.replace("name: slow\n", f"name: {name}\n") + more + "power: {tdp: 300 W}\n"
        write(f"device_specs/{name}.yaml", text)
        found.append(kernel(name, "cuda_graph", "gemm")["compute"])
    assert found[1] < 0.9 * found[0]


def test_what_the_file_says_is_not_carried(write) -> None:
    given = "software: {cuda_graph: {gemm: {compute: 0.8, launch: 5 us}}}\n"
    write("device_specs/slow.yaml", HEAD + SLOWER + "power: {tdp: 150 W}\n" + given)
    found = kernel("slow", "cuda_graph", "gemm")
    assert (found["compute"], found["launch"]) == (0.8, 5e-6)


def test_what_a_calibrated_stack_rests_on_is_not_carried(write) -> None:
    given = "software: {wall_clock: {basis: calibrated, fitted_to: here, softmax: {dispatch: 9 us}}}\n"
    write("device_specs/slow.yaml", HEAD + SLOWER + given)
    for stack in ("wall_clock", "cuda_graph"):
        assert kernel("slow", stack, "map") == kernel("a100_sxm_80gb", stack, "map")


def test_a_chip_like_its_parent_has_its_constants(write) -> None:
    write("device_specs/slow.yaml", HEAD)
    assert kernel("slow", "cuda_graph", "gemm") == kernel("a100_sxm_80gb", "cuda_graph", "gemm")
