"""A chip of round numbers, and runs on it that can be worked out by hand."""

from __future__ import annotations

import pytest

import hwsim
from hwsim.report.result import Result
from hwsim.specs.device import DeviceSpec


@pytest.fixture(scope="session")
def toy() -> DeviceSpec:
    """1 TFLOP/s in fp16, 100 GB/s, 1 pJ a bit and an operation, 2 W idle and 3 W more at work; no overheads."""
    changes = {
        "ideal.peak.fp16": "1 TFLOP/s",
        "memory.dram.bandwidth": "100 GB/s",
        "memory.dram.energy": "1 pJ/bit",
        "power.idle": "2 W",
        "power.active": "3 W",
        "power.energy_per_op.fp16": "1 pJ",
    }
    return hwsim.load_device("ideal").evolve(changes, "toy")


@pytest.fixture(scope="session")
def product(toy: DeviceSpec) -> Result:
    """A product of 1000 x 1000 matrices in fp16: 2 GFLOP take 2 ms, 6 MB take 60 us beneath them."""
    return hwsim.simulate(hwsim.ops.matmul(m=1000, n=1000, k=1000, dtype="fp16"), toy)


@pytest.fixture(scope="session")
def decoding(toy: DeviceSpec) -> Result:
    """A small language model that reads 16 tokens and writes 8."""
    graph = hwsim.workload(
        "llm", layers=2, width=64, heads=4, kv_heads=2, hidden=128, vocab=256, prompt=16, tokens=8, dtype="fp16"
    )
    return hwsim.simulate(graph, toy)


@pytest.fixture(scope="session")
def phone() -> Result:
    """A small network over the three units of a phone, with transfers between them."""
    return hwsim.simulate(hwsim.workload("mlp", batch=4, dtype="fp16"), "snapdragon_8_gen_3", policy="greedy")
