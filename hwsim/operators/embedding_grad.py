"""Gradient of a lookup by its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs, expect_positive, expect_shape
from hwsim.operators.elementwise import map_work
from hwsim.operators.gather import indices_within
from hwsim.operators.precision import narrow, widen

__all__ = ["EmbeddingGrad"]


@register
@dataclass(frozen=True, slots=True)
class EmbeddingGrad:
    """For inputs (dy (..., dim), ids (...)): the table (vocab, dim) with every row of dy added at its id."""

    kind: ClassVar[str] = "embedding_grad"
    vocab: int = 10

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(vocab, dim) in the format of dy; raises ShapeError unless there is an id for each row."""
        expect_inputs(self.kind, inputs, 2)
        expect_positive(self.kind, "vocab", (self.vocab,))
        dy, ids = inputs
        expect_shape(self.kind, "dy", dy, (*ids.shape, dy.shape[-1] if dy.shape else 1))
        return (TensorType((self.vocab, dy.shape[-1]), dy.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map that clears and writes the whole table; rows of dy are read and added to it."""
        return (map_work(self.kind, inputs, outputs[0], 1, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the dtype of dy, summed in float32 (float64 for float64)."""
        dy, ids = arrays
        wide = widen(dy)
        table = np.zeros((self.vocab, dy.shape[-1]), wide.dtype)
        np.add.at(table, indices_within(self.kind, ids, self.vocab).reshape(-1), wide.reshape(-1, dy.shape[-1]))
        return (narrow(table, dy),)
