"""Measured GPU kernels against predictions, on rows that no constant was fitted to.

Each calibrated software stack states under ``validated:`` the mean error it reached on held-out rows. These tests
price the same rows anew, from the YAML through the operators to the device, and hold the file to its word.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.devices.base import KINDS, price
from hwsim.graph.operator import Operator
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Gemm, Work
from hwsim.loading.device import load_device
from hwsim.operators.add import Add
from hwsim.operators.attention import Attention
from hwsim.operators.conv2d import Conv2d
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.linear import Linear
from hwsim.operators.matmul import Matmul
from hwsim.operators.relu import Relu
from hwsim.operators.rmsnorm import RmsNorm
from hwsim.operators.rope import Rope
from hwsim.operators.silu_mul import SiluMul
from hwsim.operators.softmax import Softmax

pytestmark = pytest.mark.validation

MARGIN = 0.5  # percentage points: constants are written with three digits, an operator may read a bias or a table more
IDENTITY = (
    "device", "op", "dtype", "timing", "m", "n", "k", "batch", "rows", "cols", "heads", "kv_heads", "seq_q", "seq_kv",
    "head_dim", "causal", "cin", "cout", "h", "w", "kh", "kw", "stride", "pad", "model",
)  # fmt: skip
ELEMENTWISE = ("add", "add_scalar", "div", "div_scalar", "gelu", "mul", "mul_scalar", "relu", "tanh")
TWO_INPUTS = {"add", "div", "mul"}
Row = Mapping[str, str]


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
        "a100_sxm_80gb": ("A100-SXM4-80GB", {"gemm.int8": "int8_w8a8_smoothquant"}),
        "h100_sxm": ("H100-SXM5-80GB", {"gemm.fp8": "fp8_w8a8_dyn"}),
        "l40s": ("L40S", {"gemm.fp8": "fp8_w8a8_dyn"}),
        "b200_sxm": ("B200-SXM", {"gemm.fp8": "fp8_w8a8_static", "gemm.fp4": "nvfp4_dyn"}),
    }
    for device, (measured, narrow) in graphs.items():
        same = {"device": device, "stack": "cuda_graph", "measured": measured, "timing": "cuda_graph"}
        for family, dtype in {"gemm": "bf16", **narrow}.items():
            yield Case(**same, family=family, file="gemm", ops=("matmul",), dtype=dtype)
        for family in ("attention_prefill", "attention_decode"):
            yield Case(**same, family=family, file="attention", ops=(family,), dtype="bf16")
    for device in ("a100_sxm_80gb", "h100_sxm"):
        same = {"device": device, "stack": "profiler", "measured": graphs[device][0], "timing": "profiler_kernel"}
        yield Case(**same, family="gemm", file="gemm", ops=("matmul",), dtype="fp16")
        yield Case(**same, family="map", file="vector", ops=("add", "gelu"), dtype="fp16")
        for family in ("rmsnorm", "silu_mul", "rope"):
            yield Case(**same, family=family, file="vector", ops=(family,), dtype="fp16")
    eager = {"v100_pcie": "V100-PCIE-32GB", "t4": "T4", "p100_pcie": "P100-PCIE-16GB", "mi100": "MI100"}
    for device, measured in {**eager, "a100_pcie_40gb": "A100-PCIE-40GB"}.items():
        same = {"device": device, "stack": "eager", "measured": measured, "timing": "cuda_event_eager"}
        yield Case(**same, dtype="fp32", family="gemm", file="gemm", ops=("linear_bias",))
        yield Case(**same, dtype="fp32", family="matmul", file="gemm", ops=("bmm",))
        yield Case(**same, dtype="fp32", family="map", file="vector", ops=ELEMENTWISE)
        for family in ("softmax", "layernorm"):
            yield Case(**same, dtype="fp32", family=family, file="vector", ops=(family,))
        if device in {"v100_pcie", "t4", "p100_pcie"}:
            yield Case(**same, dtype="fp32", family="conv2d", file="conv_rnn", ops=("conv2d",))


def is_held_out(row: Row) -> bool:
    """The rule of benchmarks/fit_gpu.py."""
    return zlib.crc32(",".join(row[name] for name in IDENTITY).encode()) % 10 < 3


def held_out_rows(folder: Path, case: Case) -> list[Row]:
    with (folder / "ground_truth" / "gpu" / f"{case.file}_dev.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == case.measured and row["op"] in case.ops]
    same = [row for row in rows if row["dtype"] == case.dtype and row["timing"] == case.timing]
    # One query of a prefill kernel is priced by the decode kernel, whose rows are others.
    return [row for row in same if is_held_out(row) and (case.family != "attention_prefill" or row["seq_q"] != "1")]


def work_of(row: Row) -> Work:
    """What hwsim lowers the measured operator to."""
    fmt = {"fp16_mixed": "fp16"}.get(row["dtype"], row["dtype"])
    number = {name: int(float(row[name])) for name in IDENTITY[4:-1] if row[name]}
    match row["op"]:
        case "matmul":
            return _product(fmt, number["m"], number["n"], number["k"])
        case "linear_bias":
            m, n, k = (number[name] for name in "mnk")
            return _lowered(Linear(), _tensor(fmt, m, k), _weight(fmt, n, k), _weight(fmt, n))
        case "bmm":
            m, n, k, batch = (number[name] for name in ("m", "n", "k", "batch"))
            return _lowered(Matmul(), _tensor(fmt, batch, m, k), _tensor(fmt, batch, k, n))
        case "conv2d":
            x = _tensor(fmt, *(number[name] for name in ("batch", "cin", "h", "w")))
            w = _weight(fmt, *(number[name] for name in ("cout", "cin", "kh", "kw")))
            return _lowered(Conv2d(stride=(number["stride"],) * 2, padding=(number["pad"],) * 2), x, w)
        case "attention_prefill" | "attention_decode":
            lead, dim = number["batch"], number["head_dim"]
            q = _tensor(fmt, lead, number["heads"], number["seq_q"], dim)
            kv = _tensor(fmt, lead, number["kv_heads"], number["seq_kv"], dim)
            return _lowered(Attention(causal=bool(number["causal"])), q, kv, kv)
    return _vector_work(row["op"], fmt, number["rows"], number["cols"])


def _vector_work(op: str, fmt: str, rows: int, cols: int) -> Work:
    x = _tensor(fmt, rows, cols)
    known: dict[str, Operator] = {"softmax": Softmax(), "layernorm": LayerNorm(), "rmsnorm": RmsNorm()}
    if op in known:
        return _lowered(known[op], x)
    if op == "rope":
        return _lowered(Rope(), _tensor(fmt, 1, cols // 128, rows, 128))
    if op == "silu_mul":
        return _lowered(SiluMul(), x, x)
    return _lowered(Add(), x, x) if op in TWO_INPUTS else _lowered(Relu(), x)


def _product(dtype: str, m: int, n: int, k: int) -> Work:
    """A layer without bias; the measurements name quantization schemes, in which activations are wider than weights."""
    narrow = {"fp8_w8a8_dyn": "fp8", "fp8_w8a8_static": "fp8", "nvfp4_dyn": "fp4", "int8_w8a8_smoothquant": "int8"}
    weight = narrow.get(dtype, dtype)
    activation = {"fp8": "bf16", "fp4": "bf16"}.get(weight, weight)
    work = _lowered(Linear(), _tensor(activation, m, k), _weight(weight, n, k))
    assert isinstance(work, Gemm)
    return replace(work, compute_format=weight, out_format="bf16" if dtype in narrow else work.out_format)


def _tensor(fmt: str, *shape: int) -> TensorType:
    return TensorType(shape, fmt)


def _weight(fmt: str, *shape: int) -> TensorType:
    return TensorType(shape, fmt, weight=True)


def _lowered(operator: Operator, *inputs: TensorType) -> Work:
    (work,) = operator.lower(inputs, operator.infer(inputs))
    return work


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_a_stack_is_as_accurate_on_held_out_rows_as_its_file_says(shared_dir, case):
    spec = load_device(case.device)
    stack = spec.stack(case.stack)
    claimed = stack.validated.get(case.family, stack.validated.get(f"{case.family}.{case.dtype}"))
    assert claimed is not None, f"{case} states no error under validated:"
    rows = held_out_rows(shared_dir, case)
    kind = KINDS[spec.kind]
    costs = price(kind, [work_of(row) for row in rows], kind.params(spec, stack), case.device)
    measured = np.array([float(row["latency_us"]) for row in rows]) * 1e-6
    error = 100.0 * float(np.mean(np.abs(costs.time_s[0] / measured - 1.0)))
    assert error <= claimed * 1.05 + MARGIN, f"{error:.1f} % on {len(rows)} rows, {claimed} % claimed"
    assert len(rows) >= 10
