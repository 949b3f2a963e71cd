"""Many chips in one call cost what each costs alone, for every kind of device and every shipped chip.

To the last bit but one: NumPy's powers of whole vectors and of what is left over may round differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.devices.base import KINDS, Costs, Params, price, stack_params
from hwsim.graph.tensor import scheme
from hwsim.graph.work import Attention, Gemm, Map, Move, Reduce, Work, size_bytes
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec
from hwsim.specs.software import SoftwareSpec

LIBRARY = Path(__file__).resolve().parents[2] / "device_specs"
DEVICES = sorted(path.stem for path in LIBRARY.glob("*.yaml"))
EXAMPLES = {
    "simt_gpu": "h100_sxm",
    "systolic_npu": "hexagon_v75",
    "dataflow_npu": "hailo_8",
    "cpu": "xeon_8480",
    "ideal": "ideal",
}


@cache
def device(name: str) -> DeviceSpec:
    return load_device(name)


def works(spec: DeviceSpec) -> tuple[Work, ...]:
    """A product, a single row, a depthwise convolution, attention of both kinds, a sum, a softmax, two copies."""
    chosen = scheme(spec.preferred_dtype)
    stored = chosen.activation
    product = Gemm(
        kernel="linear", batch=1, m=777, n=1000, k=520, a_elements=777 * 520, b_elements=520 * 1000, a_format=stored,
        b_format=chosen.weight, compute_format=chosen.matrix, accumulator_format="fp32", out_format=stored,
        b_is_weight=True, cycled_bytes=10**8,
    )  # fmt: skip
    depthwise = replace(
        product, kernel="depthwise_conv2d", batch=96, groups=96, m=784, n=1, k=9, kh=3, kw=3, channels=1,
        a_elements=96 * 784, b_elements=96 * 9,
    )  # fmt: skip
    attention = Attention(
        kernel="attention_prefill", batch=2, heads=8, kv_heads=2, seq_q=300, seq_kv=300, head_dim=64, causal=True,
        format=stored, kv_format=stored, out_format=stored,
    )  # fmt: skip
    held = size_bytes(300_000, stored)
    return (
        product,
        replace(product, m=1, a_elements=520),
        depthwise,
        attention,
        replace(attention, kernel="attention_decode", seq_q=1, seq_kv=2000),
        Map(kernel="gelu", elements=300_000, flop_per_element=6, special_per_element=1, bytes_in=held, bytes_out=held,
            format=stored),
        Reduce(kernel="softmax", rows=100, cols=3000, passes=2, flop_per_element=3, special_per_element=1,
               bytes_in=held, bytes_out=held, format=stored),
        Move(kernel="transpose", elements=300_000, bytes_in=held, bytes_out=held, contiguous=False, format=stored),
        Move(kernel="copy", elements=300_000, bytes_in=held, bytes_out=held, contiguous=True, format=stored),
    )  # fmt: skip


def variants(spec: DeviceSpec, stack: SoftwareSpec, count: int) -> list[Params]:
    """Parameters of chips whose rates and capacities were all scaled at random; zeros and infinities stay."""
    nominal: Any = KINDS[spec.kind].params(spec, stack)
    rng = np.random.default_rng(1)
    found: list[Params] = []
    for _ in range(count):
        arrays = [f.name for f in fields(nominal) if isinstance(getattr(nominal, f.name), np.ndarray)]
        scaled = {name: np.ceil(getattr(nominal, name) * rng.uniform(0.5, 2.0)) for name in arrays}
        small = {name: getattr(nominal, name) * rng.uniform(0.5, 2.0) for name in arrays if name.endswith("_j")}
        small |= {name: getattr(nominal, name) * rng.uniform(0.5, 2.0) for name in arrays if "j_per_byte" in name}
        found.append(replace(nominal, **(scaled | small)))
    return found


def assert_equal_alone_and_together(spec: DeviceSpec, stack: SoftwareSpec, rows: Sequence[Work], count: int) -> None:
    kind, chips = KINDS[spec.kind], variants(spec, stack, count)
    together = price(kind, rows, stack_params(chips), spec.name)
    alone = [price(kind, rows, chip, spec.name) for chip in chips]
    for item in fields(Costs):
        single = np.concatenate([getattr(costs, item.name) for costs in alone])
        np.testing.assert_allclose(getattr(together, item.name), single, rtol=1e-12, err_msg=item.name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_thousand_chips_of_a_kind_in_one_call_equal_a_thousand_calls(kind: str) -> None:
    spec = device(EXAMPLES[kind])
    assert spec.kind == kind
    assert_equal_alone_and_together(spec, spec.default_software, works(spec), 1000)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in EXAMPLES.values() else pytest.mark.slow) for n in DEVICES]
)
def test_ten_variants_of_a_chip_in_one_call_equal_ten_calls(name: str) -> None:
    spec = device(name)
    for stack in spec.software.values():
        assert_equal_alone_and_together(spec, stack, works(spec), 10)
