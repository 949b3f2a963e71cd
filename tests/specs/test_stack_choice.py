"""A chip that keeps small networks on chip streams large ones, unless told otherwise."""

from __future__ import annotations

from hwsim.flow import estimate
from hwsim.loading.device import load_device
from hwsim.workloads import workload


def test_weights_beyond_the_limit_take_the_streaming_stack() -> None:
    chip = load_device("edge_tpu")
    assert chip.stack_for(8_000_000).name == "tflite"
    assert chip.stack_for(8_000_001).name == "tflite_streaming"


def test_the_cliff_shows_in_time_and_a_named_stack_is_obeyed() -> None:
    chip = load_device("edge_tpu")
    small, large = workload("mobilenet_v2"), workload("resnet50")
    assert (estimate(small, chip).software, estimate(large, chip).software) == ("tflite", "tflite_streaming")
    kept = estimate(large, chip, software="tflite")
    assert kept.software == "tflite"
    assert estimate(large, chip).time_s > 3.0 * kept.time_s
