"""The loss of a classification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_rank, expect_shape
from hwsim.operators.gather import indices_within
from hwsim.operators.precision import narrow, widen
from hwsim.operators.rowwise import reduce_work

__all__ = ["CrossEntropy", "log_softmax"]


def log_softmax(x: Array) -> Array:
    """log(softmax(x)) over the last axis, without overflow."""
    shifted = x - x.max(axis=-1, keepdims=True)
    y: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return y


@register
@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Mean of -log(softmax(logits)[label]) for inputs (logits (..., classes), labels (...)): one number, shape (1)."""

    kind: ClassVar[str] = "cross_entropy"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """One number in the format of the logits; raises ShapeError unless there is a label for each row."""
        expect_inputs(self.kind, inputs, 2)
        logits, labels = inputs
        expect_rank(self.kind, "the logits", logits, 2)
        expect_shape(self.kind, "the labels", labels, logits.shape[:-1])
        return (TensorType((1,), logits.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Reduce of two passes: a comparison, a difference, exp and a sum an element."""
        cols = inputs[0].shape[-1]
        return (reduce_work(self.kind, inputs, outputs[0], cols=cols, passes=2, flop=3, special=1),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The loss with the dtype of the logits, computed in float32 (float64 for float64)."""
        logits, labels = arrays
        logs = log_softmax(widen(logits)).reshape(-1, logits.shape[-1])
        chosen = logs[np.arange(len(logs)), indices_within(self.kind, labels, logits.shape[-1]).reshape(-1)]
        return (narrow(-chosen.mean(keepdims=True), logits),)
