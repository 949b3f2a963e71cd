"""Rows of Work with few words, for tests of kinds of device; ``changes`` replace any field."""

from __future__ import annotations

from dataclasses import replace

from hwsim.graph.work import Attention, Gemm, Map, Move, Reduce


def gemm_of(m: int, n: int, k: int, fmt: str, **changes: object) -> Gemm:
    """A product in one format, summed in int32 or fp32."""
    work = Gemm(
        kernel="matmul", batch=1, m=m, n=n, k=k, a_elements=m * k, b_elements=k * n, a_format=fmt, b_format=fmt,
        compute_format=fmt, accumulator_format="int32" if fmt == "int8" else "fp32", out_format=fmt,
    )  # fmt: skip
    return replace(work, **changes)  # type: ignore[arg-type]


def attention_of(seq_q: int, seq_kv: int, fmt: str, **changes: object) -> Attention:
    """Fused attention of two heads of 64 features."""
    work = Attention(
        kernel="attention", batch=1, heads=2, kv_heads=2, seq_q=seq_q, seq_kv=seq_kv, head_dim=64, causal=False,
        format=fmt, kv_format=fmt, out_format=fmt,
    )  # fmt: skip
    return replace(work, **changes)  # type: ignore[arg-type]


def map_of(kernel: str, elements: int, moved: tuple[int, int], fmt: str, *, flop: int = 1, special: int = 0) -> Map:
    """Element-wise work; ``moved`` bytes in and out."""
    return Map(
        kernel=kernel, elements=elements, flop_per_element=flop, special_per_element=special, bytes_in=moved[0],
        bytes_out=moved[1], format=fmt,
    )  # fmt: skip


def reduce_of(
    kernel: str, rows: int, cols: int, moved: int, fmt: str, *, passes: int = 1, flop: int = 1, special: int = 0
) -> Reduce:
    """Row-wise work; ``moved`` bytes in, and as many out."""
    return Reduce(
        kernel=kernel, rows=rows, cols=cols, passes=passes, flop_per_element=flop, special_per_element=special,
        bytes_in=moved, bytes_out=moved, format=fmt,
    )  # fmt: skip


def copy_of(elements: int, size: int, fmt: str, *, contiguous: bool = True) -> Move:
    """A copy of ``size`` bytes."""
    return Move(kernel="copy", elements=elements, bytes_in=size, bytes_out=size, contiguous=contiguous, format=fmt)


def one_of_each(fmt: str) -> list[Map | Reduce | Move]:
    """Element-wise, row-wise and copying work of odd sizes."""
    return [
        map_of("relu", 999, (9, 9), fmt, special=1),
        reduce_of("softmax", 7, 100, 700, fmt, passes=3, flop=4, special=1),
        copy_of(50, 50, "int8" if fmt == "fp32" else "fp32"),
    ]
