"""Gradient of the loss of a classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.cross_entropy import CrossEntropy, log_softmax
from hwsim.operators.gather import indices_within
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["CrossEntropyGrad"]


@register
@dataclass(frozen=True, slots=True)
class CrossEntropyGrad:
    """(softmax(logits) - one at the label) / rows for inputs (logits (..., classes), labels (...))."""

    kind: ClassVar[str] = "cross_entropy_grad"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """Type of the logits; raises ShapeError unless there is a label for each row."""
        expect_inputs(self.kind, inputs, 2)
        CrossEntropy().infer(inputs)
        return (TensorType(inputs[0].shape, inputs[0].format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes: softmax's counts, a difference and a product an element."""
        cols = inputs[0].shape[-1]
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=2, flop=6, special=1),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of the logits, computed in float32 (float64 for float64)."""
        logits, labels = arrays
        rows = np.exp(log_softmax(widen(logits))).reshape(-1, logits.shape[-1])
        rows[np.arange(len(rows)), indices_within(self.kind, labels, logits.shape[-1]).reshape(-1)] -= 1
        return (narrow((rows / len(rows)).reshape(logits.shape), logits),)
