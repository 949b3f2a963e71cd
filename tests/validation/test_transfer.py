"""Constants carried to another chip: what scales with its clock and memory, what stays, what its file says of it."""

from __future__ import annotations

import pytest

from benchmarks.transfer import RELATIVES, lent
from hwsim.loading.device import load_device


def test_a_chip_lends_itself_what_it_has() -> None:
    stack = load_device("l40s").software["cuda_graph"]
    same = lent(stack, "l40s", "l40s")
    assert {name: dict(given) for name, given in same.kernels.items()} == {
        name: pytest.approx(dict(given)) for name, given in stack.kernels.items()
    }
    assert same.residuals == ()


def test_l2_keeps_its_bytes_a_clock_and_a_launch_its_clocks() -> None:
    a100, l40s = load_device("a100_sxm_80gb"), load_device("l40s")
    stack = a100.software["cuda_graph"]
    found = lent(stack, "a100_sxm_80gb", "l40s").kernels["gemm"]

    def l2_bytes_per_clock(chip, speedup: float) -> float:
        return speedup * chip.main_memory.bandwidth_bytes_per_s / (chip.core.sms * chip.core.clock_hz)

    own = stack.kernels["gemm"]
    assert l2_bytes_per_clock(l40s, found["cache_speedup"]) == pytest.approx(
        l2_bytes_per_clock(a100, own["cache_speedup"])
    )
    assert found["launch"] * l40s.core.clock_hz == pytest.approx(own["launch"] * a100.core.clock_hz)
    assert {name: found[name] for name in ("memory", "starve")} == {name: own[name] for name in ("memory", "starve")}


def test_less_power_an_operation_lowers_the_ceiling() -> None:
    """T4 has 70 W for its 8 TFLOP/s in fp32, V100 250 W for 14 on a like process."""
    stack = load_device("v100_pcie").software["eager"]
    own = stack.kernels["gemm.fp32"]["compute"]
    assert 0.45 < lent(stack, "v100_pcie", "t4").kernels["gemm.fp32"]["compute"] / own < 0.65
    assert lent(stack, "v100_pcie", "a100_pcie_40gb").kernels["gemm.fp32"]["compute"] == pytest.approx(own)


def test_l2_is_never_slower_than_the_memory_behind_it() -> None:
    stack = load_device("a100_sxm_80gb").software["cuda_graph"]
    assert lent(stack, "a100_sxm_80gb", "b200_sxm").kernels["gemm"]["cache_speedup"] == 1.0


def test_host_time_is_carried_as_it_is() -> None:
    stack = load_device("a100_pcie_40gb").software["eager"]
    own, found = stack.kernels["gemm.fp32"], lent(stack, "a100_pcie_40gb", "t4").kernels["gemm.fp32"]
    assert (found["dispatch"], found["launch"]) == (own["dispatch"], own["launch"])


@pytest.mark.parametrize("chip", sorted(RELATIVES))
def test_relatives_are_other_chips_of_the_kind(chip: str) -> None:
    assert chip not in RELATIVES[chip]
    assert {load_device(other).kind for other in (chip, *RELATIVES[chip])} == {"simt_gpu"}
