"""Root-mean-square normalization over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import expect_affine, reduce_work

__all__ = ["RmsNorm"]


@register
@dataclass(frozen=True, slots=True)
class RmsNorm:
    """x / sqrt(mean(x^2) + eps) [gamma] over the last axis (Zhang and Sennrich, 2019)."""

    kind: ClassVar[str] = "rmsnorm"
    eps: float = 1e-6

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of x; raises ShapeError when gamma does not fit the last axis."""
        expect_inputs(self.kind, inputs, 1, 2)
        x = inputs[0]
        expect_rank(self.kind, "x", x, 1)
        expect_affine(self.kind, inputs, x.shape[-1:])
        return (TensorType(x.shape, x.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes: a square, a sum, a scaling and, if given, gamma an element."""
        cols, flop = inputs[0].shape[-1], 2 + len(inputs)
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=2, flop=flop, shared=inputs[1:]),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of x, computed in float32 (float64 for float64)."""
        x, *gamma = arrays
        wide = widen(x)
        y = wide / np.sqrt(np.square(wide).mean(axis=-1, keepdims=True) + np.asarray(self.eps, wide.dtype))
        return (narrow(y * widen(gamma[0]) if gamma else y, x),)
