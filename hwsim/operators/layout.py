"""What operators that move data share: when a copy is needed, and whether it runs contiguously.

A result is a **view**, and asks for no Work, when it is one unbroken run of its input's bytes: a reshape, a
slice or split with nothing but axes of extent 1 outside it, a transposition that only moves axes of extent 1,
and an expansion (stride 0). Everything else is a Move. A Move is **contiguous** when both sides are touched in
runs of a cache line or more; shorter runs (a matrix transposed element by element) waste part of each line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Move

__all__ = ["LINE_BYTES", "fills_lines", "move_work"]

LINE_BYTES = 128
"""Cache line of GPUs, where a warp's accesses coalesce (NVIDIA, CUDA C++ Best Practices Guide, 9.2.1); 64 on CPUs."""


def fills_lines(tensor: TensorType, run: Sequence[int]) -> bool:
    """Whether runs over the axes of these extents fill a line each."""
    return math.prod(run) * tensor.bits / 8 >= LINE_BYTES


def move_work(
    kind: str, inputs: Sequence[TensorType], output: TensorType, *, contiguous: bool, bytes_in: int | None = None
) -> Move:
    """A Move that reads all inputs (or ``bytes_in``) and writes the output."""
    return Move(
        kernel=kind,
        elements=output.elements,
        bytes_in=sum(t.size_bytes for t in inputs) if bytes_in is None else bytes_in,
        bytes_out=output.size_bytes,
        contiguous=contiguous,
        format=output.format,
    )
