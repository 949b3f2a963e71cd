"""A chip may run graphs with many weights on another stack, unless told otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.flow import estimate
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.workloads import workload


@pytest.fixture(name="chip")
def _chip() -> DeviceSpec:
    """An Edge TPU that takes twenty times as long to start a kernel of a graph of more than 8 MB."""
    spec = load_device("edge_tpu")
    small = replace(spec.default_software, name="small", weights_limit_bytes=8e6, beyond="large")
    large = replace(spec.default_software, name="large", launch_s=20 * small.launch_s)
    return replace(spec, software={"small": small, "large": large})


def test_weights_beyond_the_limit_take_the_other_stack(chip: DeviceSpec) -> None:
    assert chip.stack_for(8_000_000).name == "small"
    assert chip.stack_for(8_000_001).name == "large"


def test_a_named_stack_is_obeyed(chip: DeviceSpec) -> None:
    small, large = workload("mobilenet_v2"), workload("resnet50")
    assert (estimate(small, chip).software, estimate(large, chip).software) == ("small", "large")
    kept = estimate(large, chip, software="small")
    assert kept.software == "small"
    assert estimate(large, chip).time_s > kept.time_s
