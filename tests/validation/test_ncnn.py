"""Rows of ncnn's benchmark: which cores of a chip they mean, in which formats, at which size."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from hwsim.validation.matching import device_of
from hwsim.validation.measured import Row
from hwsim.validation.networks import network_plan

_RK3588 = "OrangePi5, Rockchip RK3588s (Quad Core A76 2.4GHz + Quad Core A55 1.8GHz)"


def _row(threads: int = 4, powersave: int = 2, **changes: str) -> Row:
    columns = {
        "chip": _RK3588,
        "compute_unit": f"CPU x{threads}",
        "model": "squeezenet_ssd",
        "precision": "fp16/fp32 (arch dependent)",
        "batch": "1",
        "input": "224x224x3 or 227 (ncnn benchmark default)",
        "source_repo": "Tencent/ncnn",
        "powersave": str(powersave),
    }
    return Row(1, MappingProxyType(columns | changes), MappingProxyType({"latency_ms": 0.01}))


@pytest.mark.parametrize(
    ("threads", "powersave", "device"),
    [(4, 2, "rk3588_cpu"), (4, 1, "rk3588_cpu_little"), (8, 0, "rk3588_cpu_all")],
)
def test_a_row_names_the_cluster_that_works(threads: int, powersave: int, device: str) -> None:
    assert device_of(_row(threads, powersave)).name == device


def test_a_network_runs_at_the_size_of_the_benchmark_in_the_format_the_chip_prefers() -> None:
    plan = network_plan(_row())
    assert plan.workload == "ssd_squeezenet_voc"
    assert dict(plan.parameters) == {"batch": 1, "dtype": "auto", "height": 300, "width": 300}
