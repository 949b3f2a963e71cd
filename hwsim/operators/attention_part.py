"""Attention to some of the keys, with what is needed to join it to attention to the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.attention import Attention
from hwsim.operators.checks import expect_inputs
from hwsim.operators.precision import narrow, widen

__all__ = ["AttentionPart"]


@register
@dataclass(frozen=True, slots=True)
class AttentionPart:
    """(y, s) for q, k, v of :class:`Attention`: y as there, s (batch, heads, seq_q, 1) the logarithm of sum exp(score).

    Results y1, s1 and y2, s2 for two sets of keys join to y1 - sigmoid(s2 - s1) (y1 - y2) (Liu, Zaharia, Abbeel, Ring
    Attention with Blockwise Transformers, 2023, section 3).
    """

    kind: ClassVar[str] = "attention_part"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Types of y and s; raises ShapeError when k or v do not fit q."""
        expect_inputs(self.kind, inputs, 3)
        (y,) = Attention().infer(inputs)
        return (y, TensorType((*y.shape[:3], 1), y.format))

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """The fused attention; the sums, one a query and head, are written beside a whole row each and not counted."""
        return tuple(replace(work, kernel=self.kind) for work in Attention().lower(inputs, outputs[:1]))

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of q, computed in float32 (float64 for float64)."""
        q, k, _ = (widen(a) for a in arrays)
        groups = q.shape[1] // k.shape[1]
        scores = np.matmul(q, np.swapaxes(np.repeat(k, groups, 1), -1, -2)) / np.asarray(math.sqrt(q.shape[3]), q.dtype)
        top = scores.max(axis=-1, keepdims=True)
        total = top + np.log(np.exp(scores - top).sum(axis=-1, keepdims=True))
        return (*Attention().reference(*arrays), narrow(total, arrays[0]))
