"""Two partial results of attention joined, the softmax's sums taken into account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_shape
from hwsim.operators.elementwise import map_work
from hwsim.operators.precision import narrow, widen

__all__ = ["AttentionMerge"]


@register
@dataclass(frozen=True, slots=True)
class AttentionMerge:
    """y1 - sigmoid(s2 - s1) (y1 - y2) for results (batch, heads, seq, dim) and sums of :class:`AttentionPart`.

    One kernel, as yunchang's compiled update of a ring's running result (Fang and Zhao, USP, 2024).
    """

    kind: ClassVar[str] = "attention_merge"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Shape and format of y1; raises ShapeError unless inputs are y1, y2, s1, s2."""
        expect_inputs(self.kind, inputs, 4)
        first, second, *sums = inputs
        expect_shape(self.kind, "y2", second, first.shape)
        for name, total in zip(("s1", "s2"), sums, strict=True):
            expect_shape(self.kind, name, total, (*first.shape[:-1], 1))
        return (TensorType(first.shape, first.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map of two differences and a product; the weight is computed once a row."""
        return (map_work(self.kind, inputs, outputs[0], 3, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of y1, computed in float32 (float64 for float64)."""
        y1, y2, s1, s2 = (widen(a) for a in arrays)
        share = 1.0 / (1.0 + np.exp(s1 - s2))
        return (narrow(y1 - share * (y1 - y2), arrays[0]),)
