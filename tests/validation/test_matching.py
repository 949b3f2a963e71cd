"""Names of chips in measured data: exactly as listed, else without makers, product lines and memory."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from hwsim.errors import InputError
from hwsim.validation.matching import device_of
from hwsim.validation.measured import Row


def row(chip: str, unit: str) -> Row:
    return Row(1, MappingProxyType({"chip": chip, "compute_unit": unit, "model": "x"}), MappingProxyType({}))


@pytest.mark.parametrize(
    ("chip", "unit", "device"),
    [
        ("NVIDIA GeForce RTX 4090", "GPU (llama.cpp)", "rtx_4090"),
        ("4090 24 GB * 2", "GPU (llama.cpp)", "rtx_4090"),
        ("A6000 48GB", "GPU (llama.cpp)", "rtx_a6000"),
        ("RTX 5080", "GPU (llama.cpp)", "rtx_5080"),
        ("H200", "GPU", "h200_sxm"),
        ("AMD Instinct MI300X", "GPU", "mi300x"),
        ("M2 Max 38-Core GPU 96GB", "GPU (llama.cpp)", "apple_m2_max_gpu"),
        ("Apple M4", "ANE", "apple_m4_ane"),
        ("M4", "GPU (llama.cpp)", "apple_m4_gpu"),
        ("SA8650P", "NPU", "hexagon_v73"),
        ("Snapdragon X2 Elite", "NPU", "hexagon_x2_elite"),
        ("SA8295P", "GPU", "adreno_695"),
    ],
)
def test_a_chip_is_found_by_what_tables_call_it(chip: str, unit: str, device: str) -> None:
    assert device_of(row(chip, unit)).name == device


@pytest.mark.parametrize("chip", ["A100", "RTX 2080 Ti", "Radeon RX 7900 XTX", "Jetson Nano"])
def test_a_chip_that_is_not_there_or_not_said_is_refused_in_one_line(chip: str) -> None:
    with pytest.raises(InputError, match=f"^no device file with the alias '{chip}' for its GPU$"):
        device_of(row(chip, "GPU"))
