"""Counts (operator, chip) pairs priced a second on one core, for many chips at once and for one chip.

    python benchmarks/bench_pricing.py

The yardstick is `a * b + c` in NumPy over one float64 a pair: how many such passes over the pairs a price costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from _measure import core_seconds

import hwsim
from hwsim.devices.base import KINDS, part_of, price_tables, stack_params
from hwsim.graph.graph import Graph
from hwsim.graph.lowering import Table, lower, tables_of
from hwsim.graph.work import Form

ROWS = 256
CHIPS = 1024
CHUNK = 128
"""Chips priced in one call, so that columns of 256 rows stay in the cache."""

DEVICES = ("h100_sxm", "hexagon_v75", "xeon_8480", "ideal")
TARGETS = {Form.GEMM: 300_000.0}
OTHERS = 2_000_000.0
Build = Callable[[int, int, int], Graph]

ops = hwsim.ops
OPERATORS: Mapping[str, Build] = {
    "matmul": lambda m, n, k: ops.matmul(m=m, n=n, k=k, dtype="fp16"),
    "attention": lambda m, n, _: ops.attention(batch=1, heads=8, seq_q=m, seq_kv=n, head_dim=64, dtype="fp16"),
    "gelu": lambda m, n, _: ops.gelu(elements=m * n, dtype="fp16"),
    "softmax": lambda m, n, _: ops.softmax(rows=m, cols=n, dtype="fp16"),
    "embedding": lambda m, n, k: ops.embedding(rows=m, cols=n, vocab=k, dtype="fp16"),
}


def tables(build: Build) -> Mapping[Form, Table]:
    """Rows of one operator, all of other sizes."""
    sizes = np.random.default_rng(0).integers(1, 4096, (ROWS, 3)).tolist()
    return tables_of([work for m, n, k in sizes for work in lower(build(m, n, k)).works])


def yardstick(pairs: int) -> float:
    """Seconds of one pass over that many pairs."""
    a, b, c = (np.full((pairs // ROWS, ROWS), value) for value in (1.5, 2.5, 3.5))
    return core_seconds(lambda: [a * b + c for _ in range(20)]) / 20


def report(device: str, operator: str) -> None:
    """Print the rates of one operator on one kind of device, and whether they reach the target."""
    spec = hwsim.load_device(device)
    kind, stack = KINDS[spec.kind], spec.default_software
    rows = tables(OPERATORS[operator])
    (form,) = rows
    one = kind.params(spec, stack)
    many = stack_params([one] * CHIPS)

    def broadcast() -> None:
        for start in range(0, CHIPS, CHUNK):
            price_tables(kind, rows, part_of(many, start, start + CHUNK))

    together = CHIPS * ROWS / core_seconds(broadcast)
    alone = ROWS / core_seconds(lambda: price_tables(kind, rows, one), runs=5)
    passes = 1.0 / together / (yardstick(CHUNK * ROWS) / (CHUNK * ROWS))
    target = TARGETS.get(form, OTHERS)
    rates = f"{together / 1e6:6.2f} M pairs/s for {CHIPS} chips, {alone / 1e6:5.2f} for one"
    print(f"{device:12s} {operator:10s} {rates}, {passes:4.0f} passes, {together / target:4.1f} times the target")


def main() -> None:
    """Print every operator on every kind of device."""
    for device in DEVICES:
        for operator in OPERATORS:
            report(device, operator)


if __name__ == "__main__":
    main()
