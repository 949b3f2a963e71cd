"""Fits the software constants of NPUs to measured operators, and says how far off the held-out rows are.

Run from the root of the repository: ``python -m benchmarks.fit_npu tpu_v4 ascend_910b``. The measurements are those
of ``../shared/ground_truth``; a third of the shapes, chosen by a checksum of the shape, is never fitted.
"""

from __future__ import annotations

import csv
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hwsim.devices.base import KINDS
from hwsim.graph.lowering import Table, tables_of
from hwsim.graph.work import Attention, Gemm, Map, Reduce, Work
from hwsim.loading.device import load_device
from hwsim.specs.device import DeviceSpec

__all__ = ["FITS", "Fit", "Measured", "held_out", "measured_attention", "measured_gemm", "measured_vector", "predict_s"]

TRUTH = Path(__file__).resolve().parents[2] / "shared" / "ground_truth"
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """Rows of Work of one form with their measured seconds; ``keys`` name shapes, so that repeats stay together."""

    works: tuple[Work, ...]
    time_s: Floats
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """One kernel family of one chip: which constants are free, and where they start."""

    family: str
    free: Mapping[str, float]
    load: Callable[[], Measured]


def held_out(keys: Sequence[str]) -> NDArray[np.bool_]:
    """About 30 % of the shapes, by checksum: the same in every run and on every machine."""
    return np.array([zlib.crc32(key.encode()) % 10 >= 7 for key in keys])


def _rows(path: str, **wanted: str) -> list[dict[str, str]]:
    with (TRUTH / path).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if all(row[key] == value for key, value in wanted.items())]


def gemm(m: int, n: int, k: int, fmt: str, out: str) -> Gemm:
    """A plain product of two activations, as a benchmark loop runs it."""
    sums = "int32" if fmt == "int8" else "fp32"
    return Gemm(
        kernel="matmul",
        batch=1,
        m=m,
        n=n,
        k=k,
        a_elements=m * k,
        b_elements=k * n,
        a_format=fmt,
        b_format=fmt,
        compute_format=fmt,
        accumulator_format=sums,
        out_format=out,
    )


def measured_gemm(path: str, time: str, scale: float, fmt: str, **wanted: str) -> Measured:
    """Matrix products of a file with columns M, N, K."""
    rows = _rows(path, **wanted)
    shapes = [(int(row["M"]), int(row["N"]), int(row["K"])) for row in rows]
    works = tuple(gemm(*shape, fmt, "bf16" if fmt == "int8" else fmt) for shape in shapes)
    keys = tuple(",".join(map(str, shape)) for shape in shapes)
    return Measured(works, np.array([float(row[time]) * scale for row in rows]), keys)


def measured_attention(model: str) -> Measured:
    """Fused attention of an Ascend 910B: causal prefill, or one query against a cache; KV = 0 means KV = H."""
    works: list[Work] = []
    keys: list[str] = []
    rows = _rows("edge/ascend_910b_attention.csv", model=model)
    decode = model == "attention_generation"
    for row in rows:
        batch, seq, heads, kv, dim = (int(row[key]) for key in ("B", "S", "H", "KV", "D"))
        works.append(
            Attention(
                kernel="attention",
                batch=batch,
                heads=heads,
                kv_heads=kv or heads,
                seq_q=1 if decode else seq,
                seq_kv=seq,
                head_dim=dim,
                causal=not decode,
                format="bf16",
                kv_format="bf16",
                out_format="bf16",
            )
        )
        keys.append(f"{batch},{seq},{heads},{kv}")
    return Measured(tuple(works), np.array([float(row["latency_ms"]) * 1e-3 for row in rows]), tuple(keys))


# assumption: the file names no format; JAX makes fp32 arrays unless told otherwise.
_VECTOR_BYTES = 4


def measured_vector(op: str) -> Measured:
    """Layer norms of a TPU v4, or one of its element-wise operators (all of them for an empty name)."""
    rows = [row for row in _rows("npu/tpuv4_vector_ops_measured.csv") if row["op"].startswith(op)]
    if op != "layer_norm":
        rows = [row for row in rows if row["op"] != "layer_norm"]
    works: list[Work] = []
    for row in rows:
        elements = int(row["elements"])
        inputs = 2 if row["op"] in ("add", "mul") else 1
        if op == "layer_norm":
            cols = int(row["shape"].split("x")[-1])
            size = elements * _VECTOR_BYTES
            works.append(
                Reduce(
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
            )
        else:
            works.append(
                Map(
                    kernel=row["op"],
                    elements=elements,
                    flop_per_element=1,
                    special_per_element=0,
                    bytes_in=inputs * elements * _VECTOR_BYTES,
                    bytes_out=elements * _VECTOR_BYTES,
                    format="fp32",
                    longest=max(int(size) for size in row["shape"].split("x")),
                )
            )
    keys = tuple(f"{row['op']},{row['shape']}" for row in rows)
    return Measured(tuple(works), np.array([float(row["measured_us"]) * 1e-6 for row in rows]), keys)


def predict_s(spec: DeviceSpec, table: Table, families: Mapping[str, Mapping[str, float]] | None = None) -> Floats:
    """Seconds of each row on the device; ``families`` override constants of its default stack."""
    stack = spec.default_software
    if families:
        merged = {name: dict(values) for name, values in stack.kernels.items()}
        for name, values in families.items():
            merged.setdefault(name, {}).update(values)
        stack = replace(stack, kernels=MappingProxyType(merged))
    kind = KINDS[spec.kind]
    times: Floats = kind.price_form(table, kind.params(spec, stack)).time_s[0]
    return times


def errors(predicted: Floats, measured: Floats) -> tuple[float, float, float]:
    """Mean, median and 90th percentile of the absolute error, in per cent."""
    gap = 100.0 * np.abs(predicted / measured - 1.0)
    return float(gap.mean()), float(np.median(gap)), float(np.quantile(gap, 0.9))


def run(name: str, fit: Fit) -> None:
    """Fit one family and print its constants and errors."""
    from scipy.optimize import minimize

    spec, data = load_device(name), fit.load()
    (table,) = tables_of(data.works).values()
    test = held_out(data.keys)
    order = np.array([data.time_s[place] for place in table.index])
    names = list(fit.free)

    def predicted(logs: Floats) -> Floats:
        return predict_s(spec, table, {fit.family: dict(zip(names, np.exp(logs).tolist(), strict=True))})

    def cost(logs: Floats) -> float:
        return float(np.abs(predicted(logs)[~test] / order[~test] - 1.0).mean())

    start = np.log(np.array(list(fit.free.values())))
    best = start
    for _ in range(2 if names else 0):
        found = minimize(cost, best, method="Nelder-Mead", options={"maxfev": 350, "xatol": 1e-3, "fatol": 1e-5})
        best = found.x
    times = predicted(best)
    constants = ", ".join(f"{key}: {value:.4g}" for key, value in zip(names, np.exp(best), strict=True))
    sys.stdout.write(f"{name} {fit.family}: {{{constants}}}\n")
    for label, chosen in (("fitted", ~test), ("held out", test)):
        mean, median, p90 = errors(times[chosen], order[chosen])
        line = f"n {chosen.sum():4d}  mean {mean:5.1f} %  median {median:5.1f} %  p90 {p90:5.1f} %"
        sys.stdout.write(f"    {label:9} {line}\n")


_TPU = "npu/tpuv4_gemm_measured.csv"
_CEILINGS = {"compute": 0.8, "memory": 0.6, "overlap": 1.5}
_DECODE = {"launch": 5e-5, "compute": 0.2, "memory": 0.8, "overlap": 1.5, "keep": 0.5, "tile_kv": 512}


FITS: Mapping[str, tuple[Fit, ...]] = {
    "tpu_v4": (
        Fit("gemm", {"launch": 4e-7} | _CEILINGS, lambda: measured_gemm(_TPU, "measured_us", 1e-6, "fp16")),
        Fit("map", {"launch": 9e-7, "memory": 0.5}, lambda: measured_vector("")),
        Fit("layernorm", {"launch": 6.7e-6, "memory": 0.45}, lambda: measured_vector("layer_norm")),
    ),
    "ascend_910b": (
        Fit(
            "attention",
            {"launch": 4.5e-5, "compute": 0.5, "memory": 1.0, "overlap": 2.0, "tile_kv": 1024},
            lambda: measured_attention("attention_context"),
        ),
        Fit(
            "attention",
            {f"decode_{name}": value for name, value in _DECODE.items()},
            lambda: measured_attention("attention_generation"),
        ),
    ),
}
"""What is fitted, by chip."""

if __name__ == "__main__":
    for chip in sys.argv[1:] or FITS:
        for item in FITS[Path(chip).stem]:
            run(chip, item)
