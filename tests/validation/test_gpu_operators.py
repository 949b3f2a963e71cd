"""Measured GPU kernels against predictions, on rows that no constant was fitted to.

Each calibrated software stack states under ``validated:`` the mean error it reached on held-out rows. These tests
price the same rows anew, from the YAML through the operators to the device, and hold the file to its word.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hwsim.devices.base import KINDS, price
from hwsim.loading.device import load_device
from hwsim.validation.kernels import as_clocked, kernel_work
from hwsim.validation.measured import Row, read_measured

pytestmark = pytest.mark.validation

MARGIN = 0.5  # percentage points: constants are written with three digits, an operator may read a bias or a table more
IDENTITY = (
    "device", "op", "dtype", "timing", "m", "n", "k", "batch", "rows", "cols", "heads", "kv_heads", "seq_q", "seq_kv",
    "head_dim", "causal", "cin", "cout", "h", "w", "kh", "kw", "stride", "pad", "model",
)  # fmt: skip
ELEMENTWISE = ("add", "add_scalar", "div", "div_scalar", "gelu", "mul", "mul_scalar", "relu", "tanh")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A claim of a device file and the measured rows behind it."""

    device: str
    stack: str
    family: str
    measured: str
    file: str
    ops: tuple[str, ...]
    dtype: str
    timing: str

    def __str__(self) -> str:
        return f"{self.device}-{self.stack}-{self.family}"


def cases() -> Iterator[Case]:
    graphs = {
        "a100_sxm_80gb": ("A100-SXM4-80GB", {"linear.int8": "int8_w8a8_smoothquant"}),
        "h100_sxm": ("H100-SXM5-80GB", {"linear.fp8": "fp8_w8a8_dyn"}),
        "l40s": ("L40S", {"linear.fp8": "fp8_w8a8_dyn"}),
        "b200_sxm": ("B200-SXM", {"linear.fp8": "fp8_w8a8_static", "linear.fp4": "nvfp4_dyn"}),
    }
    for device, (measured, narrow) in graphs.items():
        same = {"device": device, "stack": "cuda_graph", "measured": measured, "timing": "cuda_graph"}
        for family, dtype in {"linear.bf16": "bf16", **narrow}.items():
            yield Case(**same, family=family, file="gemm", ops=("matmul",), dtype=dtype)
        for family in ("attention_prefill", "attention_decode"):
            yield Case(**same, family=family, file="attention", ops=(family,), dtype="bf16")
    for family in ("attention_prefill", "attention_decode"):
        same = {"device": "b200_sxm", "stack": "vllm", "measured": "B200-SXM", "timing": "cuda_graph_sustained_power"}
        yield Case(**same, family=family, file="attention", ops=(family,), dtype="bf16")
    same = {"device": "ascend_910b", "stack": "cann", "measured": "Ascend-910B", "timing": "npu_graph_event"}
    for family, dtype in {"linear.bf16": "bf16", "linear.int8": "int8_w8a8_dyn"}.items():
        yield Case(**same, family=family, file="gemm", ops=("matmul",), dtype=dtype)
    for device in ("a100_sxm_80gb", "h100_sxm"):
        same = {"device": device, "stack": "profiler", "measured": graphs[device][0], "timing": "profiler_kernel"}
        yield Case(**same, family="gemm", file="gemm", ops=("matmul",), dtype="fp16")
        yield Case(**same, family="map", file="vector", ops=("add",), dtype="fp16")
        for family in ("gelu", "rmsnorm", "silu_mul", "rope"):
            yield Case(**same, family=family, file="vector", ops=(family,), dtype="fp16")
    eager = {"v100_pcie": "V100-PCIE-32GB", "t4": "T4", "p100_pcie": "P100-PCIE-16GB", "mi100": "MI100"}
    for device, measured in {**eager, "a100_pcie_40gb": "A100-PCIE-40GB"}.items():
        same = {"device": device, "stack": "eager", "measured": measured, "timing": "cuda_event_eager"}
        yield Case(**same, dtype="fp32", family="linear.fp32", file="gemm", ops=("linear_bias",))
        yield Case(**same, dtype="fp32", family="matmul.fp32", file="gemm", ops=("bmm",))
        yield Case(**same, dtype="fp32", family="map", file="vector", ops=ELEMENTWISE)
        for family in ("softmax", "layernorm"):
            yield Case(**same, dtype="fp32", family=family, file="vector", ops=(family,))
        if device in {"v100_pcie", "t4", "p100_pcie"}:
            yield Case(**same, dtype="fp32", family="conv2d", file="conv_rnn", ops=("conv2d",))


def is_held_out(row: Mapping[str, str]) -> bool:
    """The rule of benchmarks/fit_gpu.py."""
    return zlib.crc32(",".join(row[name] for name in IDENTITY).encode()) % 10 < 3


def held_out_rows(folder: Path, case: Case) -> list[Row]:
    file = read_measured(folder / "ground_truth" / "gpu" / f"{case.file}_dev.csv")
    assert file is not None
    rows = [row for row in file.rows if row.text("device") == case.measured and row.text("op") in case.ops]
    same = [row for row in rows if row.text("dtype") == case.dtype and row.text("timing") == case.timing]
    # One query of a prefill kernel is priced by the decode kernel, whose rows are others.
    prefill = case.family == "attention_prefill"
    return [row for row in same if is_held_out(row.columns) and not (prefill and row.text("seq_q") == "1")]


@pytest.mark.slow
@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_a_stack_is_as_accurate_on_held_out_rows_as_its_file_says(shared_dir, case):
    spec = load_device(case.device)
    stack = spec.stack(case.stack)
    claimed = stack.validated.get(case.family, stack.validated.get(f"{case.family}.{case.dtype}"))
    assert claimed is not None, f"{case} states no error under validated:"
    rows = held_out_rows(shared_dir, case)
    kind = KINDS[spec.kind]
    costs = price(kind, [kernel_work(row) for row in rows], kind.params(spec, stack), case.device)
    measured = np.array([row.figures["latency_us"] for row in rows])
    predicted = np.array([as_clocked(time, case.timing) for time in costs.time_s[0].tolist()])
    error = 100.0 * float(np.mean(np.abs(predicted / measured - 1.0)))
    assert error <= claimed * 1.05 + MARGIN, f"{error:.1f} % on {len(rows)} rows, {claimed} % claimed"
    assert len(rows) >= 10
