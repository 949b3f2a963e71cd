"""A toy GPU with round numbers, work for it, and what it takes: for tests of ``simt_gpu``."""

from __future__ import annotations

from collections.abc import Mapping

from hwsim.devices.base import KINDS, Costs, OperatingPoint, price
from hwsim.devices.simt_gpu import SimtGpuSection
from hwsim.graph.work import Attention, Gemm, Map, Move, Reduce, Work
from hwsim.specs.device import DeviceSpec, MemorySpec, PowerSpec
from hwsim.specs.software import SoftwareSpec
from tests.devices.works import attention_of, copy_of, gemm_of, map_of, reduce_of

PERFECT = {"compute": 1.0, "memory": 1.0, "overlap": 1e6, "saturation": 1e-9, "cache_speedup": 1.0}
IDEAL: Mapping[str, Mapping[str, float]] = {
    "gemm": {**PERFECT, "starve": 0.0, "rounding": 1.0, "split": 1.0, "direct": 1.0},
    "attention": {**PERFECT, "narrow": 1.0, "block": 0.0, "rounding": 1.0, "split": 0.0},
    "map": {**PERFECT, "floor": 0.0},
    "reduce": {**PERFECT, "floor": 0.0},
    "move": {**PERFECT, "floor": 0.0, "strided": 0.5},
}


def toy(launch_s: float = 0.0, kernels: Mapping[str, Mapping[str, float]] = IDEAL, l2: float = 1.0) -> DeviceSpec:
    """Ten multiprocessors at 1 GHz: 10 TFLOP/s fp16, 1 TFLOP/s fp32, 100 GB/s, 1 pJ a tensor operation."""
    return DeviceSpec(
        name="toy", title="Toy GPU", kind="simt_gpu",
        core=SimtGpuSection(
            sms=10, clock_hz=1e9, shared_memory_per_sm_bytes=2e5, tensor={"fp16": 1000, "int8": 2000},
            vector={"fp32": 100, "fp16": 100}, special=10,
        ),
        memory=(
            MemorySpec(name="hbm", capacity_bytes=1e10, bandwidth_bytes_per_s=1e11, energy_j_per_byte=1e-11),
            MemorySpec(name="l2", capacity_bytes=l2, energy_j_per_byte=1e-12),
        ),
        power=PowerSpec(tdp_w=100.0, idle_w=10.0, active_w=5.0, energy_per_op_j={"fp16": 1e-12}),
        software={"only": SoftwareSpec(name="only", launch_s=launch_s, kernels=kernels)},
    )  # fmt: skip


def product(m: int, n: int, k: int, fmt: str = "fp16", **changes: object) -> Gemm:
    """A linear layer; its sums are in fp32 whatever the format."""
    given = {"kernel": "linear", "accumulator_format": "fp32", "b_is_weight": True, **changes}
    return gemm_of(m, n, k, fmt, **given)


def attention(seq_q: int, seq_kv: int, **changes: object) -> Attention:
    """Ten heads of 128 features."""
    given = {"kernel": "attention_prefill", "heads": 10, "kv_heads": 10, "head_dim": 128, **changes}
    return attention_of(seq_q, seq_kv, "fp16", **given)


def stream(elements: int, flop: int = 1, special: int = 0) -> Map:
    """Two tensors read, one written."""
    return map_of("add", elements, (4 * elements, 2 * elements), "fp16", flop=flop, special=special)


def rows(count: int, cols: int, passes: int = 2) -> Reduce:
    """A softmax."""
    return reduce_of("softmax", count, cols, 2 * count * cols, "fp16", passes=passes)


def move(elements: int, contiguous: bool) -> Move:
    """A copy."""
    return copy_of(elements, 2 * elements, "fp16", contiguous=contiguous)


def costs_of(work: Work, spec: DeviceSpec | None = None, **point: float) -> Costs:
    spec = spec or toy()
    kind = KINDS["simt_gpu"]
    return price(kind, [work], kind.params(spec, spec.stack(), OperatingPoint(**point)), spec.name)


def time_of(work: Work, spec: DeviceSpec | None = None, **point: float) -> float:
    return float(costs_of(work, spec, **point).time_s[0, 0])
