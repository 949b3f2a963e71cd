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
    """dx of spatial ``sizes`` for dy: every element is the sum of its copies, or of its shares in interpolated ones."""

    kind: ClassVar[str] = "upsample_grad"
    forward: Resize = field(default_factory=Resize)
    sizes: tuple[int, ...] = (2, 4)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(batch, channels, *sizes); raises ShapeError when dy is not what the sizes yield."""
        expect_inputs(self.kind, inputs, 1)
        (dy,) = inputs
        x = TensorType((*dy.shape[:2], *self.sizes), dy.format)
        (y,) = self.forward.infer((x,))
        if y.shape != dy.shape:
            raise ShapeError(f"{self.kind}: dy must have shape {list(y.shape)}, not {list(dy.shape)}")
        return (x,)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a row of copies for each element, a sum each (a product more for each of two shares an axis)."""
        cols = max(1, inputs[0].elements // outputs[0].elements)
        flop = 1 if self.forward.mode == "nearest" else 2 ** (1 + len(self.sizes))
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=1, flop=flop),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of dy, summed in float32 (float64 for float64)."""
        (dy,) = arrays
        y = widen(dy)
        for axis, old in enumerate(self.sizes, start=2):
            new = y.shape[axis]
            summed = np.zeros((*y.shape[:axis], old, *y.shape[axis + 1 :]), y.dtype)
            before = (slice(None),) * axis
            if self.forward.mode == "nearest":
                np.add.at(summed, (*before, np.arange(new) * old // new), y)
            else:
                at = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
                low = np.floor(at).astype(np.int64)
                share = (at - low).astype(y.dtype).reshape((-1,) + (1,) * (y.ndim - axis - 1))
                np.add.at(summed, (*before, low), y * (1 - share))
                np.add.at(summed, (*before, np.minimum(low + 1, old - 1)), y * share)
            y = summed
        return (narrow(y, dy),)
