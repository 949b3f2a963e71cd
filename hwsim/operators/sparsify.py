"""A weight with its least elements set to zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from hwsim.graph.operator import Array, register
from hwsim.graph.storage import Storage
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work
from hwsim.operators.checks import expect_inputs
from hwsim.operators.elementwise import map_work

__all__ = ["Sparsify"]


@register
@dataclass(frozen=True, slots=True)
class Sparsify:
    """The elements of largest magnitude that ``storage`` has room for; the others are zero.

    Of n:m layouts in each group of m along a row, else in the whole tensor, block by block. A weight is sparsified
    once, when a model is prepared: for it this is a view, which asks for no Work (S. Han et al., Learning both
    Weights and Connections, 2015: magnitude pruning).
    """

    kind: ClassVar[str] = "sparsify"
    storage: Storage = field(default_factory=lambda: Storage(layout="bitmask", density=0.5))

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The input's type, stored by the layout; raises ShapeError unless there is exactly one."""
        expect_inputs(self.kind, inputs, 1)
        return (replace(inputs[0], storage=self.storage if inputs[0].weight else None),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Map: a magnitude, a comparison and a choice an element; nothing for a weight."""
        return () if inputs[0].weight else (map_work(self.kind, inputs, outputs[0], 3, 0),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Values with the input's dtype."""
        (x,) = arrays
        matrix = x.reshape(x.shape[0] if x.ndim else 1, -1)
        step = self.storage.of if self.storage.layout == "n:m" else self.storage.block
        width = -(-matrix.shape[1] // step)
        padded = np.pad(matrix, ((0, 0), (0, width * step - matrix.shape[1])))
        blocks = padded.reshape(len(matrix) * width, step)
        if self.storage.layout == "n:m":
            order = np.argsort(-np.abs(blocks.astype(np.float64)), axis=1, kind="stable")
            kept = np.zeros(blocks.shape, np.bool_)
            np.put_along_axis(kept, order[:, : self.storage.keep], values=True, axis=1)
        else:
            count = max(round(self.storage.density * len(blocks)), 1)
            order = np.argsort(-np.abs(blocks.astype(np.float64)).sum(axis=1), kind="stable")
            kept = np.zeros((len(blocks), 1), np.bool_)
            kept[order[:count]] = True
        y = np.where(kept, blocks, np.zeros((), x.dtype)).reshape(len(matrix), -1)[:, : matrix.shape[1]]
        return (y.reshape(x.shape),)
