"""Gradients of normalizations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Reduce, Work
from hwsim.operators.batchnorm_train import BatchNormTrain
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.groupnorm import GroupNorm
from hwsim.operators.layernorm import LayerNorm
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rmsnorm import RmsNorm

__all__ = ["NormGrad"]

Norm = BatchNormTrain | GroupNorm | LayerNorm | RmsNorm


@register
@dataclass(frozen=True, slots=True)
class NormGrad:
    """(dx [, d gamma [, d beta]]) for inputs (dy, x [, gamma]) of the norm ``forward`` with ``affine`` vectors.

    With z the standardized x, r the reciprocal deviation and g = dy gamma: dx = r (g - mean(g) - z mean(g z)), the
    means over what was normalized together (Ioffe and Szegedy, 2015, section 3); without mean(g) for RMS norm.
    """

    kind: ClassVar[str] = "norm_grad"
    forward: Norm = field(default_factory=LayerNorm)
    affine: int = 0

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of x, gamma and beta; raises ShapeError unless dy has the shape of x and gamma fits."""
        expect_inputs(self.kind, inputs, 2 + bool(self.affine))
        x = inputs[1]
        expect_shape(self.kind, "dy", inputs[0], x.shape)
        vector = x.shape[len(x.shape) - self._trailing :] if self._trailing else x.shape[1:2]
        for gamma in inputs[2:]:
            expect_shape(self.kind, "gamma", gamma, vector)
        same = TensorType(x.shape, x.format)
        return (same, *(TensorType(vector, inputs[2].format) for _ in range(self.affine)))

    @property
    def _trailing(self) -> int:
        """How many last axes are normalized; 0 where channels are."""
        if isinstance(self.forward, LayerNorm):
            return self.forward.axes
        return 1 if isinstance(self.forward, RmsNorm) else 0

    def _cols(self, shape: tuple[int, ...]) -> int:
        """Elements normalized together."""
        size = int(np.prod(shape))
        match self.forward:
            case BatchNormTrain():
                return size // shape[1]
            case GroupNorm():
                return size // (shape[0] * self.forward.groups)
            case _:
                return int(np.prod(shape[len(shape) - self._trailing :]))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes.

        An element takes six operations to standardize it, five for both means, four for dx, and two for each vector.
        """
        x = inputs[1]
        cols = self._cols(x.shape)
        return (
            Reduce(
                kernel=self.kind,
                rows=x.elements // cols,
                cols=cols,
                passes=2,
                flop_per_element=15 + 2 * self.affine,
                special_per_element=0,
                bytes_in=sum(t.size_bytes for t in inputs),
                bytes_out=sum(t.size_bytes for t in outputs),
                format=outputs[0].format,
            ),
        )

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtypes of x and gamma, computed in float32 (float64 for float64)."""
        dy, x, *gamma = (widen(a) for a in arrays)
        across = (1,) * (x.ndim - self._trailing) if self._trailing else (1, -1) + (1,) * (x.ndim - 2)
        weight = gamma[0].reshape((*across, *gamma[0].shape) if self._trailing else across) if gamma else 1
        z, r = self._standardized(x)
        g = self._grouped(dy * weight)
        dx = g - z * (g * z).mean(axis=1, keepdims=True)
        if not isinstance(self.forward, RmsNorm):
            dx = dx - g.mean(axis=1, keepdims=True)
        results = [narrow(self._shaped(dx * r, x.shape), arrays[1])]
        others = tuple(i for i in range(x.ndim) if (i < x.ndim - self._trailing if self._trailing else i != 1))
        sums = (dy * self._shaped(z, x.shape), dy)
        results += [narrow(s.sum(axis=others), arrays[2]) for s in sums[: self.affine]]
        return tuple(results)

    def _standardized(self, x: Array) -> tuple[Array, Array]:
        """(z, reciprocal deviation) with what is normalized together in rows."""
        rows = self._grouped(x)
        if not isinstance(self.forward, RmsNorm):
            rows = rows - rows.mean(axis=1, keepdims=True)
        r = 1 / np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + np.asarray(self.forward.eps, x.dtype))
        return rows * r, r

    def _grouped(self, a: Array) -> Array:
        moved = np.swapaxes(a, 0, 1) if isinstance(self.forward, BatchNormTrain) else a
        return moved.reshape(-1, self._cols(a.shape))

    def _shaped(self, rows: Array, shape: tuple[int, ...]) -> Array:
        if isinstance(self.forward, BatchNormTrain):
            return np.swapaxes(rows.reshape(shape[1], shape[0], *shape[2:]), 0, 1)
        return rows.reshape(shape)
