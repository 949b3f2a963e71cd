"""Gradient of pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.pooling import Pool2d
from hwsim.operators.precision import narrow, widen

__all__ = ["PoolingGrad"]


@register
@dataclass(frozen=True, slots=True)
class PoolingGrad:
    """dx for inputs (dy, x): dy goes to the first largest element of its window, or in equal parts to all."""

    kind: ClassVar[str] = "pooling_grad"
    forward: Pool2d = field(default_factory=Pool2d)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of x; raises ShapeError unless dy has the shape that pooling x yields."""
        expect_inputs(self.kind, inputs, 2)
        dy, x = inputs
        (y,) = self.forward.infer((x,))
        expect_shape(self.kind, "dy", dy, y.shape)
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce: a row of the window's elements for each of dy, a comparison or product and a sum an element."""
        (dy, _), (dx,) = inputs, outputs
        return (
            Reduce(
                kernel=self.kind,
                rows=dy.elements,
                cols=math.prod(self.forward.kernel),
                passes=1,
                flop_per_element=2,
                special_per_element=0,
                bytes_in=sum(t.size_bytes for t in inputs),
                bytes_out=dx.size_bytes,
                format=dx.format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        dy, x = (widen(a) for a in arrays)
        op = self.forward
        (sh, sw), (kh, kw) = op.stride or op.kernel, op.kernel
        top, left = op.padding[:2]
        rows, columns = dy.shape[2:]
        height, width = (rows - 1) * sh + kh, (columns - 1) * sw + kw
        room = [(top, max(height - x.shape[2] - top, 0)), (left, max(width - x.shape[3] - left, 0))]
        padded = np.pad(x, ((0, 0), (0, 0), *room), constant_values=-np.inf)
        inside = np.isfinite(padded[:1, :1]).astype(x.dtype) if op.mode == "average" else None
        dx = np.zeros_like(padded)
        where = [
            (slice(None), slice(None), slice(i, i + (rows - 1) * sh + 1, sh), slice(j, j + (columns - 1) * sw + 1, sw))
            for i in range(kh)
            for j in range(kw)
        ]
        if inside is not None:
            share = dy / sum(inside[place] for place in where)
            for place in where:
                dx[place] += share
        else:
            best = np.argmax(np.stack([padded[place] for place in where]), axis=0)
            for number, place in enumerate(where):
                dx[place] += np.where(best == number, dy, 0)
        return (narrow(dx[:, :, top : top + x.shape[2], left : left + x.shape[3]], arrays[1]),)
