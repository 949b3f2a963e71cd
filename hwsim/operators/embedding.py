"""Rows of a table looked up by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import TensorType
from hwsim.graph.work import Work, size_bytes
from hwsim.operators.checks import expect_inputs, expect_rank
from hwsim.operators.gather import indices_within
from hwsim.operators.layout import fills_lines, move_work

__all__ = ["Embedding"]


@register
@dataclass(frozen=True, slots=True)
class Embedding:
    """For inputs (ids (...), table (vocab, dim)): the rows (..., dim)."""

    kind: ClassVar[str] = "embedding"

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """(..., dim) in the format of the table."""
        expect_inputs(self.kind, inputs, 2)
        ids, table = inputs
        expect_rank(self.kind, "the table", table, 2, 2)
        return (TensorType((*ids.shape, table.shape[1]), table.format),)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One Move that reads the ids and one row an id."""
        (ids, table), (y,) = inputs, outputs
        read = ids.size_bytes + size_bytes(y.elements, table.format)
        return (move_work(self.kind, inputs, y, contiguous=fills_lines(table, table.shape[1:]), bytes_in=read),)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """The rows looked up; raises InputError for an id that the table does not have."""
        ids, table = arrays
        return (table[indices_within(self.kind, ids, table.shape[0])],)
