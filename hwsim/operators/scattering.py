"""What scatters share: their Move, and writing or combining values at indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Move
from hwsim.operators.layout import move_work

__all__ = ["expect_mode", "scatter", "scatter_work"]

_COMBINE: Mapping[str, Any] = MappingProxyType(
    {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
)


def expect_mode(kind: str, mode: str) -> None:
    """Raise ShapeError unless values are replaced or combined in a known way."""
    if mode != "none" and mode not in _COMBINE:
        raise ShapeError(f"{kind}: mode is one of none, {', '.join(_COMBINE)}, not '{mode}'")


def scatter_work(kind: str, inputs: Sequence[TensorType], output: TensorType) -> Move:
    """A scattered Move that reads all inputs and writes the output once."""
    return move_work(kind, inputs, output, contiguous=False)


def scatter(x: Array, at: tuple[Array, ...], updates: Array, mode: str) -> Array:
    """A copy of x with the updates written at those indices, or combined with what is there."""
    y = x.copy()
    if mode == "none":
        y[at] = updates
    else:
        _COMBINE[mode].at(y, at, updates)
    return y
