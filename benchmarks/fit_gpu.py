"""Fits the software constants of `simt_gpu` to measured kernels and prints them as YAML fragments.

    python benchmarks/fit_gpu.py [--only TEXT] [--data ../shared/ground_truth/gpu] [--evaluations 1500] [--starts 3]

Rows of one device, kind of operator, format and timing mode make a family. A hash of each row's own text puts three
rows in ten aside; the constants are fitted to the rest and both errors are printed. Rows that belong to no family are
counted at the end with the reason. Every ceiling is bounded by 1: no kernel may beat its chip.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package
from scipy.optimize import minimize  # noqa: TID253 -- likewise

from hwsim.cost import attention, norm, streaming, tiling
from hwsim.cost import convolution as winograd
from hwsim.graph.tensor import BITS
from hwsim.loading.device import load_device
from hwsim.loading.library import find_by_alias
from hwsim.units import format_quantity

SHAPE = (
    "m", "n", "k", "batch", "rows", "cols", "heads", "kv_heads", "seq_q", "seq_kv", "head_dim", "causal", "cin",
    "cout", "h", "w", "kh", "kw", "stride", "pad", "model",
)  # fmt: skip
COLLECTIVE = ("device", "op", "dtype", "timing", "ngpus", "bytes", "model")  # what tells collectives apart
Space = Mapping[str, tuple[float, float, bool]]  # constant -> least, most, whether its scale is logarithmic
INF = math.inf


def held_out(row: Iterable[str]) -> bool:
    """Three rows in ten, chosen by the CRC-32 of device, op, dtype, timing and shape as the file writes them."""
    return zlib.crc32(",".join(row).encode()) % 10 < 3


@dataclass(frozen=True, kw_only=True)
class Chip:
    """Peaks of a measured device in SI units, from the data sheet figures beside the measurements."""

    sms: float
    bandwidth: float
    cache: float
    shared: float
    threads: float
    vector: float
    special: float
    peaks: Mapping[str, float]

    def limits(self, fmt: str) -> tiling.SimtLimits:
        """What products in a format can use."""
        return tiling.SimtLimits(
            sms=self.sms,
            flop_per_s=self.peaks[fmt],
            bandwidth_bytes_per_s=self.bandwidth,
            cache_bytes=self.cache,
            shared_bytes_per_sm=self.shared,
            threads_per_sm=self.threads,
        )


# Shared memory and threads of a multiprocessor by architecture: CUDA C++ Programming Guide, compute capabilities;
# AMD CDNA instruction set guides (64 KiB of local data share, 2,560 threads a compute unit).
RESIDENCY = {
    "Volta": (96, 2048), "Turing": (64, 1024), "Pascal": (64, 2048), "Ampere": (164, 2048), "Hopper": (228, 2048),
    "Ada": (100, 1536), "Blackwell": (228, 2048), "CDNA1": (64, 2560), "CDNA2": (64, 2048), "Vega": (64, 2560),
}  # fmt: skip


def chips(folder: Path) -> dict[str, Chip]:
    """Every GPU of `devices.csv`."""
    found = {}
    for row in pd.read_csv(folder / "devices.csv").itertuples():
        if row.arch not in RESIDENCY or not row.sm_or_cores > 0:
            continue
        shared, threads = RESIDENCY[row.arch]
        names = {"fp32": "fp32", "fp16": "fp16", "bf16": "bf16", "fp8": "fp8", "int8": "int8", "fp4": "nvfp4"}
        peaks = {fmt: getattr(row, f"peak_tflops_{column}") * 1e12 for fmt, column in names.items()}
        peaks["fp16"] = peaks["fp16"] if peaks["fp16"] > 0 else peaks["bf16"]
        vector = row.peak_tflops_fp32_vec if row.peak_tflops_fp32_vec > 0 else row.peak_tflops_fp32
        special = 16 * row.sm_or_cores * row.boost_ghz * 1e9
        found[row.device] = Chip(
            sms=row.sm_or_cores, bandwidth=row.dram_gbps * 1e9, cache=row.l2_mb * 2**20, shared=shared * 1024.0,
            threads=float(threads), vector=vector * 1e12, special=special, peaks=peaks,
        )  # fmt: skip
    return found


TIME = {"launch": (5e-7, 2e-4, True), "overlap": (1.0, 6.0, True)}
CACHE = {"cache_speedup": (1.0, 6.0, True), "resident_all": (0.2, 0.99, False), "resident_none": (1.0, 2.0, False)}
GEMM: Space = {
    **TIME, **CACHE, "compute": (0.25, 1.0, True), "memory": (0.25, 1.0, True), "starve": (8.0, 110.0, True),
    "wave": (1e-8, 5e-6, True), "rounding": (0.0, 1.0, False), "saturation": (0.05, 1.0, True),
    "k_step": (5e-12, 1e-8, True), "split": (1e-8, 1e-5, True), "store_exposed": (1e-3, 1.0, True),
}  # fmt: skip
CONVOLUTION: Space = GEMM | {"split": (1e-8, 1e-2, True), "k_step": (5e-12, 5e-8, True)}
WINOGRAD: Space = {"winograd": (0.1, 1.0, True), "transform": (1e-6, 3e-4, True)}
NARROWED: Space = {
    "quantize": (1e-8, 1e-5, True), "quantize_row": (1e-9, 3e-6, True), "quantize_col": (1e-12, 3e-9, True),
}  # fmt: skip
VECTOR: Space = {"gemv": (1e-6, 4e-6, True), "gemv_k": (1e-12, 1e-9, True)}
STREAM: Space = {
    **TIME, **CACHE, "floor": (1e-7, 3e-5, True), "memory": (0.2, 1.0, True), "saturation": (0.02, 20.0, True),
}  # fmt: skip
ROWS: Space = {
    **STREAM, "knee": (512.0, 4096.0, True), "extra_pass": (0.0, 2.0, False), "row": (1e-10, 1e-6, True),
    "col": (1e-12, 1e-9, True),
}  # fmt: skip
MAP: Space = {**STREAM, "write": (0.7, 1.5, True)}
TOKENS: Space = {**STREAM, "row": (1e-10, 1e-6, True), "col": (1e-11, 1e-8, True)}
PREFILL: Space = {
    **TIME, "compute": (0.2, 1.0, True), "memory": (0.1, 1.0, True), "narrow": (0.3, 1.0, True),
    "block": (1e-8, 1e-5, True), "rounding": (0.0, 1.0, False), "key_write": (1e-12, 2e-8, True),
}  # fmt: skip
DECODE: Space = {
    **TIME, **CACHE, "memory": (0.3, 1.0, True), "block": (1e-8, 1e-5, True), "key": (1e-11, 3e-8, True),
    "rounding": (0.0, 1.0, False), "saturation": (0.05, 1.0, True), "split": (1e-8, 1.5e-5, True),
    "group": (1e-8, 1e-5, True), "head": (1e-10, 1e-6, True),
}  # fmt: skip
SECONDS = {"launch", "floor", "wave", "k_step", "split", "gemv", "gemv_k", "row", "col", "block", "key", "key_write"}
SECONDS |= {"quantize", "quantize_row", "quantize_col", "group", "head", "transform"}


def _renamed(constants: Mapping[str, float]) -> dict[str, float]:
    """Arguments of the formulas; ``weight_copies`` describes the benchmark, not a kernel."""
    kept = {name: value for name, value in constants.items() if name != "weight_copies"}
    return {f"{name}_s" if name in SECONDS else name: value for name, value in kept.items()}


Predict = Callable[[pd.DataFrame, Chip, Mapping[str, float]], np.ndarray]


def _row(frame: pd.DataFrame, name: str) -> np.ndarray:
    return frame[name].to_numpy(float)[None]


def gemm(fmt: str, widths: tuple[float, float, float], copies: float) -> Predict:
    """Products in a format with so many bytes an element of A, B and C."""

    def predict(frame: pd.DataFrame, chip: Chip, constants: Mapping[str, float]) -> np.ndarray:
        m, n, k = (_row(frame, name) for name in "mnk")
        batch = np.nan_to_num(_row(frame, "batch"), nan=1.0)
        a, b, c = widths
        read = min(a, BITS[fmt] / 8) if "quantize" in constants else a
        bias = np.where((frame["op"] == "linear_bias").to_numpy()[None], c * n, 0.0)
        problem = tiling.GemmProblem(
            m=m, n=n, k=k, batch=batch, a_bytes=read * batch * m * k, b_bytes=b * batch * k * n,
            c_bytes=c * batch * m * n, extra_bytes=bias, b_copies=copies,
        )  # fmt: skip
        own = {name: value for name, value in constants.items() if name not in NARROWED}
        limits, known = chip.limits(fmt), tiling.GemmConstants(**_renamed(own))
        time = tiling.tiled_gemm_time(problem, limits, known).time_s[0]
        if "quantize" not in constants:
            return time
        shared = ("memory", "cache_speedup", "resident_all", "resident_none", "overlap")
        narrowing = norm.RowConstants(
            launch_s=constants["quantize"],
            row_s=constants["quantize_row"],
            col_s=constants["quantize_col"],
            **{name: own[name] for name in shared},
        )
        wide, narrow = a * batch * m * k, BITS[fmt] / 8 * batch * m * k
        return time + norm.narrowing_time(batch * m, k, wide, narrow, _stream_limits(chip), narrowing).time_s[0]

    return predict


def convolution(fmt: str, width: float) -> Predict:
    """Convolutions as implicit products, or Winograd's where the constants have them."""

    def predict(frame: pd.DataFrame, chip: Chip, constants: Mapping[str, float]) -> np.ndarray:
        names = ("batch", "cin", "cout", "h", "w", "kh", "kw", "stride", "pad")
        batch, cin, cout, h, w, kh, kw, stride, pad = (_row(frame, name) for name in names)
        rows, cols = (np.floor((size + 2 * pad - window) / stride) + 1 for size, window in ((h, kh), (w, kw)))
        m, k, unit = batch * rows * cols, cin * kh * kw, constants.get("channels", 1.0)
        touched = batch * cin * np.minimum(h, rows * kh) * np.minimum(w, cols * kw)
        problem = tiling.GemmProblem(
            m=m, n=cout, k=kh * kw * np.ceil(cin / unit) * unit, batch=1.0, a_bytes=width * touched,
            b_bytes=width * k * cout, c_bytes=width * m * cout,
        )  # fmt: skip
        own = {name: value for name, value in constants.items() if name not in {*WINOGRAD, "channels"}}
        limits, known = chip.limits(fmt), tiling.GemmConstants(**_renamed(own))
        time = tiling.tiled_gemm_time(problem, limits, known).time_s[0]
        if "winograd" not in constants:
            return time
        layer = winograd.WinogradProblem(
            images=batch, out_h=rows, out_w=cols, channels_in=cin, channels_out=cout, in_bytes=problem.a_bytes,
            filter_bytes=problem.b_bytes, out_bytes=problem.c_bytes, width=width, window=kh,
        )  # fmt: skip
        fused, transform = constants["winograd"], constants["transform"]
        other = winograd.winograd_time(layer, limits, known, fused=fused, transform_s=transform).time_s[0]
        able = ((kh == kw) & np.isin(kh, winograd.WINDOWS) & (stride == 1.0))[0]
        return np.where(able, np.minimum(time, other), time)

    return predict


def _stream_limits(chip: Chip) -> streaming.StreamLimits:
    return streaming.StreamLimits(
        sms=chip.sms, bandwidth_bytes_per_s=chip.bandwidth, cache_bytes=chip.cache, threads_per_sm=chip.threads
    )


def stream(width: float) -> Predict:
    """Element-wise work: two tensors, or three where two are read."""

    def predict(frame: pd.DataFrame, chip: Chip, constants: Mapping[str, float]) -> np.ndarray:
        elements = _row(frame, "rows") * _row(frame, "cols")
        tensors = np.where(frame["op"].isin(["add", "mul", "div", "pow", "silu_mul"]).to_numpy()[None], 3.0, 2.0)
        own = {name: value for name, value in constants.items() if name != "write"}
        known = streaming.StreamConstants(**_renamed(own))
        moved = elements * width * (tensors - 1.0 + constants.get("write", 1.0))
        limits, cols = _stream_limits(chip), _row(frame, "cols")
        return streaming.stream_time(moved, elements, np.zeros((1, 1)), limits, known, cols).time_s[0]

    return predict


# plain arithmetic and special functions an element, as hwsim's operators count them
ROW_ARITHMETIC = {"softmax": (4.0, 1.0), "layernorm": (6.0, 0.0), "rmsnorm": (3.0, 0.0)}


def rows(width: float) -> Predict:
    """Row-wise work: read once, written once."""

    def predict(frame: pd.DataFrame, chip: Chip, constants: Mapping[str, float]) -> np.ndarray:
        count, cols = _row(frame, "rows"), _row(frame, "cols")
        read = count * cols * width
        problem = norm.RowProblem(rows=count, cols=cols, read_bytes=read, moved_bytes=2 * read)
        known = norm.RowConstants(compute=0.5, **_renamed(constants))
        plain, special = ROW_ARITHMETIC[frame["op"].iloc[0]]
        arithmetic = count * cols * max(plain / chip.vector, special / chip.special)
        return norm.row_time(problem, arithmetic, _stream_limits(chip), known).time_s[0]

    return predict


def fused_attention(kernel: Callable[..., Any], fmt: str = "bf16") -> Predict:
    """Prefill or decode."""

    def predict(frame: pd.DataFrame, chip: Chip, constants: Mapping[str, float]) -> np.ndarray:
        names = ("batch", "heads", "kv_heads", "seq_q", "seq_kv", "head_dim", "causal")
        problem = attention.AttentionProblem(**{name: _row(frame, name) for name in names})
        limits = attention.AttentionLimits(
            sms=chip.sms, flop_per_s=chip.peaks[fmt], bandwidth_bytes_per_s=chip.bandwidth, cache_bytes=chip.cache
        )
        return kernel(problem, limits, attention.AttentionConstants(**_renamed(constants))).time_s[0]

    return predict


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


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Constants found and the percentage errors of fitted and held-out rows."""

    family: Family
    constants: Mapping[str, float]
    fitted: np.ndarray
    held: np.ndarray


def _decoded(u: np.ndarray, space: Space) -> dict[str, float]:
    constants = {}
    for place, (name, (low, high, logarithmic)) in zip(np.clip(u, 0.0, 1.0), space.items(), strict=True):
        value = low * (high / low) ** place if logarithmic else low + (high - low) * place
        constants[name] = float(f"{value:.3g}")
    return constants


def known_place(family: Family) -> list[float]:
    """The constants that the device file has now, as a place of the search; what it lacks lies low."""
    spec = load_device(find_by_alias(family.device))
    stack = next((stack for stack in spec.software.values() if family.timing in stack.timing), None)
    constants = dict(stack.kernels.get(family.name, {})) if stack else {}
    if "dispatch" in constants:
        constants["launch"] = constants.get("launch", 0.0) + constants["dispatch"]
    place = []
    for name, (low, high, logarithmic) in family.space.items():
        value = min(max(constants.get(name, low), low), high)
        place.append(math.log(value / low) / math.log(high / low) if logarithmic else (value - low) / (high - low))
    return [min(max(u, 0.02), 0.98) for u in place]


def fit(family: Family, frame: pd.DataFrame, chip: Chip, evaluations: int, descents: int = 3) -> Fit:
    """Least mean error over rows not held out: Nelder-Mead from the constants known and the best of random starts."""
    train = ~frame["held"].to_numpy()
    seen, measured = frame[train], frame["latency_us"].to_numpy(float) * 1e-6
    best: tuple[float, dict[str, float]] | None = None
    for variant in family.variants:

        def loss(u: np.ndarray, variant: Mapping[str, float] = variant) -> float:
            time = family.predict(seen, chip, {**_decoded(u, family.space), **variant})
            most = 0.5 * family.tick_s  # within half a tick the clock shows the same
            ratio = (time - np.clip(time - measured[train], -most, most)) / measured[train]
            outside = np.sum(np.maximum(0.0, u - 1.0) ** 2 + np.maximum(0.0, -u) ** 2)
            return float(
                np.mean(np.minimum(np.abs(ratio - 1.0), 1.0)) + 0.25 * np.mean(np.abs(np.log(ratio))) + outside
            )

        generator = np.random.default_rng(zlib.crc32(family.label.encode()))
        starts = sorted(
            generator.random((max(30, evaluations // 8), len(family.space))).tolist(), key=lambda u: loss(np.array(u))
        )
        for start in [known_place(family), *starts[:descents]]:
            options = {"maxfev": evaluations, "xatol": 1e-3, "fatol": 1e-5, "adaptive": True}
            found = minimize(loss, start, method="Nelder-Mead", options=options)
            found = minimize(loss, np.clip(found.x, 0.02, 0.98), method="Nelder-Mead", options=options)
            if best is None or found.fun < best[0]:
                best = (found.fun, {**_decoded(found.x, family.space), **variant})
    assert best is not None
    errors = 100.0 * np.abs(family.clocked(family.predict(frame, chip, best[1])) / measured - 1.0)
    return Fit(family=family, constants=best[1], fitted=errors[train], held=errors[~train])


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


def load(folder: Path, name: str) -> pd.DataFrame:
    """A file of measurements, with the column ``held`` for rows put aside."""
    path = folder / f"{name}_dev.csv"
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame = pd.read_csv(path)
    identity = ["device", "op", "dtype", "timing", *SHAPE]
    frame["held"] = [held_out(row) for row in text[identity].itertuples(index=False, name=None)]
    return frame


def rows_of(family: Family, frame: pd.DataFrame) -> pd.DataFrame:
    """The family's rows."""
    same = (frame["device"] == family.device) & (frame["dtype"] == family.dtype) & (frame["timing"] == family.timing)
    several = (frame["op"] != "attention_prefill") | (frame["seq_q"] > 1)  # one query is priced as decode
    return frame[same & several & frame["op"].isin(family.ops)]


def _plain(value: float) -> str:
    """Three digits without an exponent, which YAML would take for a word.

    >>> _plain(2803.0), _plain(0.01234)
    ('2803', '0.0123')
    """
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}" if value >= 1e-4 or value == 0 else f"{value:.7f}"


def yaml_lines(found: Fit) -> list[str]:
    """The family as a line of a ``software:`` section, and what it was fitted to."""
    eager = found.family.timing in {"cuda_event_eager", "wall_clock_sync", "deepbench_wall_avg"}
    constants = dict(found.constants)
    if eager:  # what a device-side launch does not explain is the host's
        launch = min(constants["launch"], 3e-6)
        constants = {"dispatch": constants["launch"] - launch, **constants, "launch": launch}
    shown = {
        name: format_quantity(value, "s") if name in SECONDS | {"dispatch"} else _plain(value)
        for name, value in constants.items()
        if math.isfinite(value)
    }
    family = found.family
    errors = "; ".join(
        f"{what} {len(part)}: {part.mean():.1f} mean, {np.median(part):.1f} median, {np.quantile(part, 0.9):.0f} p90"
        for what, part in (("fitted", found.fitted), ("held out", found.held))
    )
    return [
        f"# {family.label} {family.dtype}, {'/'.join(family.ops)}; % error, {errors}",
        f"{family.name}: {{{', '.join(f'{name}: {text}' for name, text in shown.items())}}}",
    ]


def main(arguments: list[str]) -> int:
    """Fits what is asked for; returns 0, or 1 when nothing matched."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1].parent / "shared" / "ground_truth" / "gpu"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--only", default="", help="fit families whose label (device, timing, name) contains this")
    parser.add_argument("--evaluations", type=int, default=1500)
    parser.add_argument("--starts", type=int, default=3)
    given = parser.parse_args(arguments)
    known = chips(given.data)
    frames = {name: load(given.data, name) for name in ("gemm", "vector", "attention", "conv_rnn")}
    used = {name: np.zeros(len(frame), dtype=bool) for name, frame in frames.items()}
    matched = 0
    for family in families():
        frame = rows_of(family, frames[family.file])
        used[family.file][frames[family.file].index.isin(frame.index)] = True
        if given.only in family.label and len(frame):
            matched += 1
            found = fit(family, frame, known[family.device], given.evaluations, given.starts)
            print("\n".join(yaml_lines(found)), flush=True)
    for name, mask in used.items():
        rest = frames[name][~mask].groupby(["device", "op", "dtype", "timing"]).size()
        for key, count in rest.items():
            print(f"# not fitted, no family: {count} rows of {name}_dev.csv, {' '.join(map(str, key))}")
    return 0 if matched else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
