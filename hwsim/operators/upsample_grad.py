"""Gradient of upsampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work
from hwsim.operators.upsample import Resize

__all__ = ["UpsampleGrad"]


@register
@dataclass(frozen=True, slots=True)
class UpsampleGrad:
    """dx of spatial ``sizes`` for dy: every element is the sum of its copies; nearest neighbours only."""

    kind: ClassVar[str] = "upsample_grad"
    forward: Resize = field(default_factory=Resize)
    sizes: tuple[int, ...] = (2, 4)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels, *sizes); raises ShapeError when dy is not what the sizes yield, or for interpolation."""
        expect_inputs(self.kind, inputs, 1)
        (dy,) = inputs
        x = TensorType((*dy.shape[:2], *self.sizes), dy.format)
        (y,) = self.forward.infer((x,))
        if y.shape != dy.shape or self.forward.mode != "nearest":
            raise ShapeError(f"{self.kind}: dy must be {list(y.shape)} from nearest neighbours, not {list(dy.shape)}")
        return (x,)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a row of copies for each element, a sum each."""
        cols = max(1, inputs[0].elements // outputs[0].elements)
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=1, flop=1),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of dy, summed in float32 (float64 for float64)."""
        (dy,) = arrays
        y = widen(dy)
        for axis, old in enumerate(self.sizes, start=2):
            new = y.shape[axis]
            summed = np.zeros((*y.shape[:axis], old, *y.shape[axis + 1 :]), y.dtype)
            np.add.at(summed, (slice(None),) * axis + (np.arange(new) * old // new,), y)
            y = summed
        return (narrow(y, dy),)
