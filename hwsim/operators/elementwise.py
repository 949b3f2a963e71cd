"""What element-wise operators share: functions of one tensor, of two, and gated pairs.

An operator's file gives its counts per element and its formula; special functions (exp, tanh, erf,
reciprocal) are counted apart from plain arithmetic because hardware runs them on other units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Map, Work
from hwsim.operators.checks import broadcast, expect_inputs, expect_shape
from hwsim.operators.precision import narrow, result_format, widen

__all__ = ["Binary", "Elementwise", "ExactUnary", "Gated", "Modal", "Unary", "map_work"]


def map_work(kind: str, inputs: Sequence[TensorType], output: TensorType, flop: int, special: int) -> Map:
    """A Map that reads each input once and writes the output once; counts are per output element."""
    return Map(
        kernel=kind,
        elements=output.elements,
        flop_per_element=flop,
        special_per_element=special,
        bytes_in=sum(t.size_bytes for t in inputs),
        bytes_out=output.size_bytes,
        format=output.format,
        longest=max(output.shape, default=1),
        cols=output.shape[-1] if output.shape else 1,
    )


class Elementwise(ABC):
    """An operator whose every output element depends on one element of each input."""

    __slots__ = ()

    kind: ClassVar[str]
    flop_per_element: ClassVar[int]
    special_per_element: ClassVar[int] = 0

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map with this function's counts an element."""
        return (map_work(self.kind, inputs, outputs[0], self.flop_per_element, self.special_per_element),)


class Unary(Elementwise):
    """A function of one tensor of any shape."""

    __slots__ = ()

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the input; raises ShapeError unless there is exactly one."""
        expect_inputs(self.kind, inputs, 1)
        return (TensorType(inputs[0].shape, inputs[0].format),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype, computed in float32 (float64 for float64)."""
        (x,) = arrays
        return (narrow(self.value(widen(x)), x),)

    @abstractmethod
    def value(self, x: Array) -> Array:
        """The function itself."""


class ExactUnary(Unary):
    """A function of one tensor that is computed in its own format: integers stay exact, floats need no wider ones."""

    __slots__ = ()

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype; halves are computed in float32."""
        (x,) = arrays
        return (narrow(self.value(x if x.dtype != np.float16 else widen(x)), x),)


class Modal(ExactUnary):
    """One of several functions of one tensor, ``modes`` by name; ``mode`` names it."""

    __slots__ = ()

    modes: ClassVar[Mapping[str, Any]]
    mode: str

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the input; raises ShapeError for a mode there is not."""
        if self.mode not in self.modes:
            raise ShapeError(f"{self.kind}: mode is one of {', '.join(self.modes)}, not '{self.mode}'")
        return super().infer(inputs)

    def value(self, x: Array) -> Array:
        """The function of an array."""
        y: Array = self.modes[self.mode](x)
        return y


@dataclass(frozen=True, slots=True)
class Binary(Elementwise):
    """A function of two tensors that broadcast, or of one tensor and the number ``scalar``."""

    scalar: float | None = None

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The broadcast shape in the first activation's format; raises ShapeError when shapes do not broadcast."""
        expect_inputs(self.kind, inputs, 2 if self.scalar is None else 1)
        return (TensorType(broadcast(self.kind, inputs), result_format(inputs)),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the wider of both dtypes, computed in float32 (float64 for float64)."""
        if self.scalar is not None:
            (x,) = arrays
            wide = widen(x)
            return (narrow(self.value(wide, np.asarray(self.scalar, wide.dtype)), x),)
        a, b = arrays
        like = np.empty(0, np.result_type(a.dtype, b.dtype))
        if np.issubdtype(like.dtype, np.integer):
            return (narrow(self.value(a.astype(np.int64), b.astype(np.int64)), like),)
        return (narrow(self.value(widen(a), widen(b)), like),)

    @abstractmethod
    def value(self, a: Array, b: Array) -> Array:
        """The function itself."""


class Gated(Elementwise):
    """f(gate) x up for two tensors of one shape: the middle of a gated feed-forward block.

    Source: N. Shazeer, GLU Variants Improve Transformer, 2020, eq. 5 and 6.
    """

    __slots__ = ()

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of the gate; raises ShapeError unless ``up`` has the gate's shape."""
        expect_inputs(self.kind, inputs, 2)
        gate, up = inputs
        expect_shape(self.kind, "up", up, gate.shape)
        return (TensorType(gate.shape, gate.format),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the gate's dtype, computed in float32 (float64 for float64)."""
        gate, up = arrays
        return (narrow(self.value(widen(gate)) * widen(up), gate),)

    @abstractmethod
    def value(self, gate: Array) -> Array:
        """The function of the gate."""
