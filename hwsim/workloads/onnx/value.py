"""What flows between the nodes of an ONNX graph while it is read: constants, and tensors of the graph being built."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hwsim.errors import InputError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import Tensor
from hwsim.workloads.onnx import limits
from hwsim.workloads.onnx.elements import stored_bytes

__all__ = ["Value", "check_shape", "constant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor as the file declares it.

    Attributes:
        shape: Its extents; only a constant may have one of 0.
        format: Of its elements in the file.
        tensor: The tensor of the graph that holds it; None for a constant, which gets one when a node needs it.
        make: Its array, where that is known beforehand; of a constant None if the file leaves its data out.
        steps: How many operators the array is computed through.
        weight: Whether a constant was stored in the file, not computed from its shapes.
    """

    shape: tuple[int, ...]
    format: str
    tensor: Tensor | None = None
    make: Callable[[], Array] | None = None
    steps: int = 0
    weight: bool = False
    name: str = ""

    @property
    def elements(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def constant(self) -> bool:
        """Whether no node of the graph makes it."""
        return self.tensor is None

    def named(self, name: str) -> Value:
        """The same under another name."""
        return replace(self, name=name)


def constant(array: Array, fmt: str, name: str = "") -> Value:
    """A constant whose array is at hand."""
    return Value(shape=array.shape, format=fmt, make=lambda: array, name=name)


def check_shape(what: str, shape: Sequence[int], fmt: str) -> tuple[int, ...]:
    """The shape; raises InputError for a negative or huge extent, too many axes or too many elements."""
    if len(shape) > limits.RANK:
        raise InputError(f"{what} has {len(shape)} axes; at most {limits.RANK} are read")
    for extent in shape:
        if not 0 <= extent <= limits.EXTENT:
            says = "a negative extent" if extent < 0 else "an extent"
            raise InputError(f"{what} has {says}, {extent}, in shape {list(shape)}; write 1 to {limits.EXTENT:,}")
    if math.prod(shape) > limits.ELEMENTS:
        size = stored_bytes(fmt, math.prod(shape)) / 1e12
        raise InputError(
            f"{what} has shape {list(shape)}, {size:,.0f} TB; at most {limits.ELEMENTS:,} elements are read"
        )
    return tuple(int(extent) for extent in shape)
