"""Measured cycle counts of systolic arrays: what a row of them stands for."""

from __future__ import annotations

from hwsim.cost.systolic import systolic_cycles
from hwsim.validation.measured import Row

__all__ = ["array_cycles"]


def array_cycles(row: Row) -> int:
    """The count as SCALE-Sim prints it: the number of the last cycle, from zero."""
    if "array_rows" in row.columns:
        m, n, k = (row.number(f"gemm_{name}") for name in "MNK")
        rows, cols, pattern = row.number("array_rows"), row.number("array_cols"), None
    else:
        m, n, k = (int(row.columns[name]) for name in "MNK")
        rows, cols = int(row.columns["R"]), int(row.columns["C"])
        pattern = (int(row.columns["n"]), int(row.columns["m"])) if row.columns["n"] else None
        if row.text("mode") == "rowwise":
            block = int(row.columns["block"])
            k, pattern = -(-k // (2 * block)) * block, None
    return systolic_cycles(m=m, n=n, k=k, rows=rows, cols=cols, dataflow=row.text("dataflow"), sparsity=pattern) - 1
