"""Gradient of pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.convolution import both_sides
from hwsim.operators.pooling import Pool
from hwsim.operators.precision import narrow, widen

__all__ = ["PoolingGrad"]


@register
@dataclass(frozen=True, slots=True)
class PoolingGrad:
    """dx for inputs (dy, x): dy goes to the first largest element of its window, or in equal parts to all."""

    kind: ClassVar[str] = "pooling_grad"
    forward: Pool = field(default_factory=Pool)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of x; raises ShapeError unless dy has the shape that pooling x yields."""
        expect_inputs(self.kind, inputs, 2)
        dy, x = inputs
        y = self.forward.infer((x,))[0]
        if self.forward.mode not in ("max", "average"):
            raise ShapeError(f"{self.kind}: the gradient of a maximum or average, not of a '{self.forward.mode}'")
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
        op, axes = self.forward, len(self.forward.kernel)
        strides, dilations = op.stride or op.kernel, op.dilation or (1,) * axes
        padding = both_sides(self.kind, op.padding or (0,) * axes, axes)
        reaches = [
            (n - 1) * s + d * (k - 1) + 1
            for n, s, d, k in zip(dy.shape[2:], strides, dilations, op.kernel, strict=True)
        ]
        pads = [
            (before, max(reach - size - before, 0))
            for reach, size, (before, _) in zip(reaches, x.shape[2:], padding, strict=True)
        ]
        padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=-np.inf)
        dx = np.zeros_like(padded)
        taps = [
            (slice(None), slice(None), *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in walk))
            for walk in (zip(tap, dilations, dy.shape[2:], strides, strict=True) for tap in np.ndindex(*op.kernel))
        ]
        if op.mode == "average":
            share = dy / self._counted(x, pads, padding, taps)
            for tap in taps:
                dx[tap] += share
        else:
            best = np.argmax(np.stack([padded[tap] for tap in taps]), axis=0)
            for number, tap in enumerate(taps):
                dx[tap] += np.where(best == number, dy, 0)
        inner = tuple(slice(before, before + size) for size, (before, _) in zip(x.shape[2:], pads, strict=True))
        return (narrow(dx[(slice(None), slice(None), *inner)], arrays[1]),)

    def _counted(
        self,
        x: Array,
        pads: Sequence[tuple[int, int]],
        padding: Sequence[tuple[int, int]],
        taps: Sequence[tuple[slice, ...]],
    ) -> Array:
        """How many elements the average of each window divides by."""
        ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
        if self.forward.count_padding:
            wide = [(min(a, c), min(b, d)) for (a, b), (c, d) in zip(pads, padding, strict=True)]
            ones = np.pad(ones, ((0, 0), (0, 0), *wide), constant_values=1)
            pads = [(a - c, b - d) for (a, b), (c, d) in zip(pads, wide, strict=True)]
        real = np.pad(ones, ((0, 0), (0, 0), *pads))
        total: Array = np.sum([real[tap] for tap in taps], axis=0)
        return total
