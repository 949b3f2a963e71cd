"""The families of measured GPU kernels that ``fit_gpu`` fits: which rows, predicted how, with which constants free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.gpu_formulas import (
    CONVOLUTION,
    DECODE,
    GEMM,
    MAP,
    NARROWED,
    PREFILL,
    ROWS,
    STREAM,
    TOKENS,
    VECTOR,
    WINOGRAD,
    Predict,
    Space,
    convolution,
    fused_attention,
    gemm,
    rows,
    stream,
)
from hwsim.cost import attention
from hwsim.graph.tensor import BITS


@dataclass(frozen=True, kw_only=True)
class Family:
    """Rows fitted together: which, how they are predicted, what is free and what is tried."""

    name: str
    file: str
    device: str
    ops: tuple[str, ...]
    dtype: str
    timing: str
    predict: Predict
    space: Space
    variants: tuple[Mapping[str, float], ...] = ({},)
    tick_s: float = 0.0  # what the clock of the measurements counts in

    def clocked(self, time_s: np.ndarray) -> np.ndarray:
        """Times as that clock shows them."""
        return np.maximum(1.0, np.round(time_s / self.tick_s)) * self.tick_s if self.tick_s else time_s

    @property
    def label(self) -> str:
        """Device, timing, family."""
        return f"{self.device} {self.timing} {self.name}"


GRAPHS = ("A100-SXM4-80GB", "H100-SXM5-80GB", "L40S", "B200-SXM")
EAGER = ("V100-PCIE-32GB", "T4", "P100-PCIE-16GB", "A100-PCIE-40GB", "MI100")
COPIES = 6.0  # weight copies the CUDA-graph benchmark rotates (README of the measurements)
ELEMENTWISE = ("add", "add_scalar", "div", "div_scalar", "gelu", "mul", "mul_scalar", "relu", "tanh")
QUANTIZED = {  # format of the matrix unit and bytes an element of A, B, C, by the measurements' own name
    "fp8_w8a8_dyn": ("fp8", (2.0, 1.0, 2.0)),
    "fp8_w8a8_static": ("fp8", (2.0, 1.0, 2.0)),
    "int8_w8a8_smoothquant": ("int8", (1.0, 1.0, 2.0)),
    "nvfp4_dyn": ("fp4", (2.0, 4.5 / 8, 2.0)),
}
TILES_OF_QUERIES = tuple({"query_tile": tile, "packed": packed} for tile in (64.0, 128.0) for packed in (0.0, 1.0))
KEYS = tuple({"split_single": s, **more} for s in (0.0, 1.0) for more in ({}, {"group_limit": 32.0}))
NARROW = 0.74  # ceiling left at head dimension 64, of H100, for devices measured at 128 alone


def _graph_families(device: str) -> list[Family]:
    common: dict[str, Any] = {"device": device, "timing": "cuda_graph"}
    product, space, tiles = GEMM | VECTOR, PREFILL, TILES_OF_QUERIES
    if device.startswith("A100"):
        space = {name: bounds for name, bounds in PREFILL.items() if name != "narrow"}
        tiles = tuple(tile | {"narrow": NARROW} for tile in TILES_OF_QUERIES)
    found = [
        Family(
            name="gemm", file="gemm", ops=("matmul",), dtype="bf16", predict=gemm("bf16", (2, 2, 2), COPIES),
            space=product, variants=({"weight_copies": COPIES},), **common,
        ),
        Family(
            name="attention_prefill", file="attention", ops=("attention_prefill",), dtype="bf16",
            predict=fused_attention(attention.prefill_time), space=space, variants=tiles, **common,
        ),
        Family(
            name="attention_decode", file="attention", ops=("attention_decode",), dtype="bf16",
            predict=fused_attention(attention.decode_time), space=DECODE,
            variants=KEYS, **common,
        ),
    ]  # fmt: skip
    for dtype, (fmt, widths) in QUANTIZED.items():
        found.append(
            Family(
                name=f"gemm.{fmt}", file="gemm", ops=("matmul",), dtype=dtype, predict=gemm(fmt, widths, 1.0),
                space=product if widths[0] <= BITS[fmt] / 8 else product | NARROWED,
                variants=({"weight_copies": 1.0},), **common,
            )
        )  # fmt: skip
    return found


def _eager_families(device: str) -> list[Family]:
    common: dict[str, Any] = {"device": device, "timing": "cuda_event_eager", "dtype": "fp32"}
    products: dict[str, Any] = {**common, "space": GEMM, "variants": ({"weight_copies": 1.0},)}
    plain = gemm("fp32", (4, 4, 4), 1.0)
    found = [
        Family(name="gemm", file="gemm", ops=("linear_bias",), predict=plain, **products),
        Family(name="matmul", file="gemm", ops=("bmm",), predict=plain, **products),
        Family(
            name="conv2d",
            file="conv_rnn",
            ops=("conv2d",),
            predict=convolution("fp32", 4.0),
            **{**products, "space": CONVOLUTION | WINOGRAD},
        ),
        Family(name="map", file="vector", ops=ELEMENTWISE, predict=stream(4.0), space=MAP, **common),
    ]
    alone = ("pow", "pow_scalar")  # bound by arithmetic on some devices
    written = ({"write": 1.0},)  # else the one of map would stand in
    found += [
        Family(name=op, file="vector", ops=(op,), predict=stream(4.0), space=STREAM, variants=written, **common)
        for op in alone
    ]
    norms = ("softmax", "layernorm")
    return found + [Family(name=op, file="vector", ops=(op,), predict=rows(4.0), space=ROWS, **common) for op in norms]


def _profiler_families(device: str) -> list[Family]:
    common: dict[str, Any] = {"device": device, "timing": "profiler_kernel", "dtype": "fp16", "tick_s": 1e-6}
    found = [
        Family(
            name="gemm", file="gemm", ops=("matmul",), predict=gemm("fp16", (2, 2, 2), 1.0), space=GEMM | VECTOR,
            variants=({"weight_copies": 1.0},), **common,
        ),
        Family(name="map", file="vector", ops=("add",), predict=stream(2.0), space=MAP, **common),
        Family(name="gelu", file="vector", ops=("gelu",), predict=stream(2.0), space=MAP, **common),
        Family(name="rmsnorm", file="vector", ops=("rmsnorm",), predict=rows(2.0), space=ROWS, **common),
    ]  # fmt: skip
    return found + [
        Family(name=op, file="vector", ops=(op,), predict=stream(2.0), space=TOKENS, **common)
        for op in ("silu_mul", "rope")
    ]


def _sustained_families() -> list[Family]:
    """Attention of another engine, repeated for a second; below the power cap that is its time in a burst."""
    common: dict[str, Any] = {"device": "B200-SXM", "timing": "cuda_graph_sustained_power", "dtype": "bf16"}
    return [
        Family(
            name="attention_prefill", file="attention", ops=("attention_prefill",), space=PREFILL,
            predict=fused_attention(attention.prefill_time), variants=TILES_OF_QUERIES, **common,
        ),
        Family(
            name="attention_decode", file="attention", ops=("attention_decode",), space=DECODE,
            predict=fused_attention(attention.decode_time), variants=KEYS, **common,
        ),
    ]  # fmt: skip


CHANNELS = {"fp32": (1.0,), "fp16": (1.0, 8.0), "int8": (1.0, 4.0, 16.0)}  # a fragment of 16 bytes, a word of 4


def _other_families() -> list[Family]:
    wall: dict[str, Any] = {"device": "A100-SXM4-80GB", "timing": "wall_clock_sync", "dtype": "fp16", "file": "vector"}
    found = [Family(name=op, ops=(op,), predict=rows(2.0), space=ROWS, **wall) for op in ("softmax", "layernorm")]
    found.append(Family(name="map", ops=("gelu",), predict=stream(2.0), space=STREAM, **wall))
    for device, dtype in (
        ("V100-SXM2-16GB", "fp32"), ("V100-SXM2-16GB", "fp16_mixed"),
        ("T4", "fp32"), ("T4", "fp16_mixed"), ("T4", "int8"),
    ):  # fmt: skip
        fmt = dtype.removesuffix("_mixed")
        width = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}[fmt]
        deep: dict[str, Any] = {"device": device, "timing": "deepbench_wall_avg", "dtype": dtype, "space": GEMM}
        deep["variants"] = ({"weight_copies": 1.0},)
        out = 4.0 if fmt == "int8" else width
        product = gemm(fmt, (width, width, out), 1.0)
        found.append(Family(name=f"gemm.{fmt}", file="gemm", ops=("matmul",), predict=product, **deep))
        kernel = convolution(fmt, width)
        deep["space"] = CONVOLUTION | WINOGRAD if fmt == "fp32" else CONVOLUTION
        deep["variants"] = tuple({"weight_copies": 1.0, "channels": unit} for unit in CHANNELS[fmt])
        found.append(Family(name=f"conv2d.{fmt}", file="conv_rnn", ops=("conv2d",), predict=kernel, **deep))
    return found


def families() -> list[Family]:
    """Everything this script fits."""
    found = [family for device in GRAPHS for family in _graph_families(device)]
    found += [family for device in EAGER for family in _eager_families(device)]
    found += [family for device in GRAPHS[:2] for family in _profiler_families(device)]
    return found + _sustained_families() + _other_families()
