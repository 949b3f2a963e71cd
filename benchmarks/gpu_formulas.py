"""The formulas of GPU kernels as functions of measured rows, and the bounds of their constants, for ``fit_gpu``.

A predictor takes the rows of one family, (rows,), a chip and its constants, and gives seconds, (rows,); the formulas
themselves are those of :mod:`hwsim.cost`. Every ceiling is bounded by 1: no kernel may beat its chip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 -- a script, not part of the package

from hwsim.cost import attention, norm, streaming, tiling
from hwsim.cost import convolution as winograd
from hwsim.graph.tensor import BITS

Space = Mapping[str, tuple[float, float, bool]]  # constant -> least, most, whether its scale is logarithmic


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
