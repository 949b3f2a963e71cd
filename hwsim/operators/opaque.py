"""An operator nobody here knows, priced as a move of its bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hwsim.errors import InputError
from hwsim.graph.operator import Array, register
from hwsim.graph.tensor import AUTO, TensorType
from hwsim.graph.work import Work
from hwsim.operators.layout import move_work

__all__ = ["Opaque"]


@register
@dataclass(frozen=True, slots=True)
class Opaque:
    """Reads its inputs and writes tensors of ``types`` ((shape, format), ...); what it computes is not known.

    ``name`` is what its model calls it.
    """

    kind: ClassVar[str] = "opaque"
    name: str = "opaque"
    types: tuple[tuple[tuple[int, ...], str], ...] = (((1,), AUTO),)

    def infer(self, inputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The types it was given."""
        return tuple(TensorType(shape, fmt) for shape, fmt in self.types)

    def lower(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[Work, ...]:
        """One contiguous Move an output; the inputs are read once, for the first."""
        first, *rest = outputs
        made = [move_work(self.kind, inputs, first, contiguous=True)]
        made += [move_work(self.kind, (), y, contiguous=True, bytes_in=0) for y in rest]
        return tuple(made)

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        """Raises InputError: nobody knows its values."""
        raise InputError(f"opaque: hwsim does not know what '{self.name}' computes, only what it moves")
