"""A tensor with a constant border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Pad"]


@register
@dataclass(frozen=True, slots=True)
class Pad:
    """x with ``pads`` = ((before, after), ...) entries of ``value`` an axis."""

    kind: ClassVar[str] = "pad"
    pads: tuple[tuple[int, int], ...] = ()
    value: float = 0.0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The enlarged shape; raises ShapeError unless there is one pair of at least 0 an axis."""
        expect_inputs(self.kind, inputs, 1)
        (x,) = inputs
        if len(self.pads) != len(x.shape) or any(p < 0 for pair in self.pads for p in pair):
            raise ShapeError(
                f"pad: give one (before, after) of at least 0 for each axis of {list(x.shape)}, not {self.pads}"
            )
        shape = tuple(before + d + after for d, (before, after) in zip(x.shape, self.pads, strict=True))
        return (TensorType(shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move; none (a view) when nothing is padded."""
        (x,) = inputs
        padded = [axis for axis, pair in enumerate(self.pads) if pair != (0, 0)]
        if not padded:
            return ()
        return (move_work(self.kind, inputs, outputs[0], contiguous=fills_lines(x, x.shape[padded[-1] :])),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The padded values."""
        (x,) = arrays
        return (np.pad(x, self.pads, constant_values=np.asarray(self.value, x.dtype)),)
