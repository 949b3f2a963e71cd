"""Held-out operators of real NPUs through the shipped chips, and the figures a plain roofline misses.

Rows are held out by a checksum of their shape, as when the constants were fitted (``benchmarks/fit_npu.py``).
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsim.devices.base import KINDS, price
from hwsim.graph.work import Attention, Gemm, Map, Reduce, Work
from hwsim.loading.device import load_device
from tests.devices.works import gemm_of

pytestmark = pytest.mark.validation

TRUTH = Path(__file__).resolve().parents[2].parent / "shared" / "ground_truth"
Row = dict[str, str]


def _held_out(path: str, key: Callable[[Row], str], keep: Callable[[Row], bool]) -> list[Row]:
    file = TRUTH / path
    if not file.exists():
        pytest.skip(f"{path} is not beside the repository")
    with file.open(newline="", encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if keep(row) and zlib.crc32(key(row).encode()) % 10 >= 7]


def _time_s(device: str, works: list[Work]) -> NDArray[np.float64]:
    spec = load_device(device)
    kind = KINDS[spec.kind]
    times: NDArray[np.float64] = price(kind, works, kind.params(spec, spec.default_software)).time_s[0]
    return times


def _mape(device: str, works: list[Work], measured_s: list[float]) -> float:
    return float(100 * np.abs(_time_s(device, works) / np.array(measured_s) - 1).mean())


def _gemm(m: int, n: int, k: int, fmt: str, out: str = "") -> Gemm:
    return gemm_of(m, n, k, fmt, out_format=out or fmt)


def _shape_key(row: Row) -> str:
    return f"{row['M']},{row['N']},{row['K']}"


def test_tpu_v4_products_are_within_8_percent() -> None:
    """Bar of the model notes: 8 %."""
    rows = _held_out("npu/tpuv4_gemm_measured.csv", _shape_key, lambda row: bool(row["M"]))
    works: list[Work] = [_gemm(int(r["M"]), int(r["N"]), int(r["K"]), "fp16") for r in rows]
    assert len(rows) == 281
    assert _mape("tpu_v4", works, [float(r["measured_us"]) * 1e-6 for r in rows]) < 7.6


def _vector(row: Row) -> Work:
    elements, size = int(row["elements"]), 4 * int(row["elements"])
    if row["op"] == "layer_norm":
        cols = int(row["shape"].split("x")[-1])
        return Reduce(
            kernel="layernorm",
            rows=elements // cols,
            cols=cols,
            passes=2,
            flop_per_element=8,
            special_per_element=0,
            bytes_in=size,
            bytes_out=size,
            format="fp32",
        )
    return Map(
        kernel=row["op"],
        elements=elements,
        flop_per_element=1,
        special_per_element=0,
        bytes_in=size * (2 if row["op"] in ("add", "mul") else 1),
        bytes_out=size,
        format="fp32",
        longest=max(int(axis) for axis in row["shape"].split("x")),
    )


@pytest.mark.parametrize(("layer_norm", "limit"), [(False, 2.4), (True, 4.2)])
def test_tpu_v4_vector_work_is_within_3_and_norms_within_5_percent(layer_norm: bool, limit: float) -> None:
    rows = _held_out(
        "npu/tpuv4_vector_ops_measured.csv",
        lambda row: f"{row['op']},{row['shape']}",
        lambda row: (row["op"] == "layer_norm") is layer_norm,
    )
    assert len(rows) > 100
    assert _mape("tpu_v4", [_vector(r) for r in rows], [float(r["measured_us"]) * 1e-6 for r in rows]) < limit


@pytest.mark.parametrize(("model", "limit"), [("attention_context", 7.5), ("attention_generation", 13.2)])
def test_ascend_910b_attention(model: str, limit: float) -> None:
    """Bars of the model notes: 13 % for prefill, 14 % for decode."""
    rows = _held_out(
        "edge/ascend_910b_attention.csv",
        lambda row: f"{row['B']},{row['S']},{row['H']},{row['KV']}",
        lambda row: row["model"] == model,
    )
    decode = model == "attention_generation"
    works: list[Work] = [
        Attention(
            kernel="attention",
            batch=int(r["B"]),
            heads=int(r["H"]),
            kv_heads=int(r["KV"]) or int(r["H"]),
            seq_q=1 if decode else int(r["S"]),
            seq_kv=int(r["S"]),
            head_dim=int(r["D"]),
            causal=not decode,
            format="bf16",
            kv_format="bf16",
            out_format="bf16",
        )
        for r in rows
    ]
    assert len(rows) > 200
    assert _mape("ascend_910b", works, [float(r["latency_ms"]) * 1e-3 for r in rows]) < limit
